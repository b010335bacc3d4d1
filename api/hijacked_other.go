//go:build !linux

package api

import (
	"net/http"

	"github.com/paylogic/pushserver/streams"
)

// poller has nothing to do where connections stay with net/http.
type poller struct{}

func newPoller() (*poller, error) { return new(poller), nil }

// Close does nothing.
func (*poller) Close() error { return nil }

func (*Server) hijack(http.ResponseWriter, *http.Request, *connection, *streams.Subscription, []byte) bool {
	return false
}
