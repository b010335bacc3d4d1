package transport

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

// A client that takes nothing for a while cannot keep a stream that was ended, or
// whose filter was narrowed, in the middle of a long text.
func TestEndOfAStreamDoesNotWaitForItsClient(t *testing.T) {
	usual := writeTimeout
	t.Cleanup(func() { writeTimeout = usual })
	writeTimeout = time.Minute
	narrow, err := filter.Compile(filter.Clause{Types: []string{"none"}})
	if err != nil {
		t.Fatal(err)
	}
	ends := map[string]func(*streams.Subscription){
		"goodbye": func(s *streams.Subscription) { s.End(streams.Goodbye{Reason: "key_revoked"}) },
		"close":   func(s *streams.Subscription) { s.Close(streams.ErrGone) },
		"rescope": func(s *streams.Subscription) { s.Rescope(narrow, struct{}{}) },
	}
	for name, end := range ends {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, HTTP/2 %t", name, http2), func(t *testing.T) {
				t.Parallel()
				sub, ended := stuckStream(t, http2)
				select {
				case <-ended:
					t.Fatal("the stream has ended by itself")
				default:
				}
				end(sub)
				select {
				case <-ended:
				case <-time.After(10 * time.Second):
					t.Error("after 10s the stream has not ended")
				}
			})
		}
	}
}

// stuckStream returns a stream that is writing a snapshot of 40 MB to a client over
// TLS that does not read.
func stuckStream(t *testing.T, http2 bool) (*streams.Subscription, <-chan struct{}) {
	t.Helper()
	log := eventlog.NewMemoryLog(eventlog.MemoryOptions{})
	data := []byte(`"` + strings.Repeat("x", 100_000) + `"`)
	for i := range 400 {
		e := eventlog.Event{ID: fmt.Sprint(i), Source: "/test", Type: "seat", Subject: fmt.Sprint(i), State: true,
			Time: "2026-01-02T03:04:05Z", Merchant: "a", Data: data}
		if _, err := log.Append(t.Context(), "a", []eventlog.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	hub := streams.NewHub(log, streams.Options{})
	poller, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	all, err := filter.Compile()
	if err != nil {
		t.Fatal(err)
	}
	subs, ended := make(chan *streams.Subscription, 1), make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sub, err := hub.Subscribe(r.Context(), streams.Request{Log: "a", Filter: all, Framing: streams.SSE,
			Connection: "con_1", Start: streams.Start{Snapshot: true}})
		if err != nil {
			t.Error(err)
			return
		}
		subs <- sub
		poller.Serve(w, r, sub, nil, func() { close(ended) })
	}))
	server.EnableHTTP2 = http2
	server.StartTLS()
	res, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		res.Body.Close()
		hub.Close()
		server.CloseClientConnections()
		server.Close()
		poller.Close()
		log.Close()
	})
	for before := ^uint64(0); before != hub.Stats().Bytes; time.Sleep(time.Second) {
		before = hub.Stats().Bytes // until the client's buffers are full
	}
	return <-subs, ended
}
