//go:build !linux

package transport

import (
	"net/http"

	"github.com/paylogic/pushserver/streams"
)

// A Poller has nothing to watch here: connections stay with net/http.
type Poller struct{}

// NewPoller returns a poller. The error is always nil.
func NewPoller() (*Poller, error) { return new(Poller), nil }

// Close does nothing.
func (*Poller) Close() error { return nil }

func (*Poller) hijack(http.ResponseWriter, *http.Request, *streams.Subscription, []byte, func()) bool {
	return false
}
