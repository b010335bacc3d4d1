package faults

import (
	"testing"

	"github.com/paylogic/pushserver/test/stand"
)

func TestMain(m *testing.M) { stand.Main(m, false) }
