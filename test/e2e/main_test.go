// Package e2e tests the program as clients meet it: browsers, libraries and
// programs of others, proxies, and several gateways over one Redis.
package e2e

import (
	"testing"

	"github.com/paylogic/pushserver/test/stand"
)

func TestMain(m *testing.M) { stand.Main(m, stand.RaceDetector) }
