package transport

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

func TestQuietStreamOverHTTP2OutlivesTheTimeOfAWrite(t *testing.T) {
	defer func(limit time.Duration) { writeTimeout = limit }(writeTimeout)
	writeTimeout = 200 * time.Millisecond
	log := eventlog.NewMemoryLog(eventlog.MemoryOptions{})
	defer log.Close()
	lines, closed := streamOverHTTP2(t, log)
	until(t, lines, "event: stream.open")

	time.Sleep(3 * writeTimeout)
	event := eventlog.Event{ID: "1", Source: "/test", Type: "order.completed", Time: "2026-01-02T03:04:05Z", Merchant: "a", Data: []byte("{}")}
	if _, err := log.Append(t.Context(), "a", []eventlog.Event{event}); err != nil {
		t.Fatal(err)
	}
	until(t, lines, "event: order.completed")
	if closed.Load() {
		t.Error("onClose was called although the stream is open")
	}
}

// streamOverHTTP2 returns the lines of a stream of the log a, and whether its
// onClose was called.
func streamOverHTTP2(t *testing.T, log eventlog.Log) (<-chan string, *atomic.Bool) {
	t.Helper()
	hub := streams.NewHub(log, streams.Options{})
	poller, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	all, err := filter.Compile()
	if err != nil {
		t.Fatal(err)
	}
	closed := new(atomic.Bool)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sub, err := hub.Subscribe(r.Context(), streams.Request{Log: "a", Filter: all, Framing: streams.SSE, Connection: "con_1"})
		if err != nil {
			t.Error(err)
			return
		}
		poller.Serve(w, r, sub, nil, func() { closed.Store(true) })
	}))
	server.EnableHTTP2 = true
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
	})
	if res.ProtoMajor != 2 {
		t.Fatalf("the stream speaks %s", res.Proto)
	}
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(res.Body); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	return lines, closed
}

func until(t *testing.T, lines <-chan string, want string) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	var got []string
	for {
		select {
		case line, open := <-lines:
			if got = append(got, line); line == want {
				return
			}
			if !open {
				t.Fatalf("the stream ended without %q:\n%s", want, strings.Join(got, "\n"))
			}
		case <-timeout:
			t.Fatalf("no %q came:\n%s", want, strings.Join(got, "\n"))
		}
	}
}
