package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/test/stand"
)

// Other people's programs and libraries receive from the real program. Their
// connections are cut while events go on, and they must get exactly what they missed.

// A delivery is an event as a client shows it to its user.
type delivery struct {
	ID    string `json:"id"`
	Event string `json:"event"`
	Data  string `json:"data"`
}

// An inbox is what a running client receives. It is closed when the client ends.
type inbox <-chan delivery

// next returns the next event, or fails the test. It skips control events, except for
// a reset: no history is incomplete here.
func (in inbox) next(t *testing.T) delivery {
	t.Helper()
	late := time.After(15 * time.Second)
	for {
		select {
		case d, ok := <-in:
			switch {
			case !ok:
				t.Fatal("the client ended before its next event")
			case d.Event == "stream.reset":
				t.Fatalf("the client was told that it missed something: %s", d.Data)
			case !strings.HasPrefix(d.Event, "stream."):
				return d
			}
		case <-late:
			t.Fatal("the next event did not arrive")
		}
	}
}

// expect fails the test unless the next events are exactly these.
func (in inbox) expect(t *testing.T, want []published) {
	t.Helper()
	for i, p := range want {
		got := in.next(t)
		var event struct {
			ID   string
			Data json.RawMessage
		}
		if err := json.Unmarshal([]byte(got.Data), &event); err != nil {
			t.Fatalf("event %d of %d has data %q: %v", i+1, len(want), got.Data, err)
		}
		if got.ID != p.Position || got.Event != "payment.paid" || event.ID != p.ID {
			t.Fatalf("event %d of %d is %s %s %s, want %s payment.paid %s",
				i+1, len(want), got.ID, got.Event, event.ID, p.Position, p.ID)
		}
		if string(event.Data) != p.data {
			t.Fatalf("event %s carries %q, want %q", p.ID, event.Data, p.data)
		}
	}
}

// A published event, as its publisher knows it.
type published struct {
	ID       string `json:"id"`
	Position string `json:"position"`
	data     string
}

// A shop publishes numbered events for acme.
type shop struct {
	dev   stand.DevServer
	count int
}

// sell publishes n events. Their data has empty lines and letters of many languages.
func (s *shop) sell(t *testing.T, n int) []published {
	t.Helper()
	all := make([]published, 0, n)
	for range n {
		s.count++
		p := published{data: fmt.Sprintf("{\n  \"n\": %d,\n\n  \"to\": \"Žofie 東京 🎟️\",\n\t\"says\": \"data: a\\nid: b\"\n}", s.count)}
		body := fmt.Sprintf(`{"merchant":"acme","type":"payment.paid","id":"sale-%d","data":%s}`, s.count, p.data)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.dev.URL+"/v1/events", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+s.dev.PublisherKey)
		req.Header.Set("Content-Type", "application/json")
		answer(t, req, http.StatusCreated, &p)
		all = append(all, p)
	}
	return all
}

// answer sends req and decodes the answer, which must have this status.
func answer(t *testing.T, req *http.Request, status int, into any) {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != status {
		t.Fatalf("%s %s was answered with %d %s", req.Method, req.URL.Path, resp.StatusCode, body.String())
	}
	if err := json.Unmarshal(body.Bytes(), into); err != nil {
		t.Fatalf("%s %s was answered with %s: %v", req.Method, req.URL.Path, body.String(), err)
	}
}

// firstPath starts a client in the past. It sends the same query when it reconnects, and
// its position must win.
const firstPath = "/v1/stream?since=1h"

func TestForeignClientsThatReconnectMissAndRepeatNothing(t *testing.T) {
	tests := []struct {
		name  string
		begin func(t *testing.T, address, key string) inbox
	}{
		{"go-sse", beginGoSSE},
		{"r3labs", beginR3labs},
		{"eventsource", beginEventSource},
		{"python", beginPython},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := shop{dev: stand.Dev(t)}
			line := beginCutter(t, s.dev.URL)
			before := s.sell(t, 5)
			client := tt.begin(t, line.address(), s.dev.Keys["acme"])
			client.expect(t, before)
			client.expect(t, s.sell(t, 5))
			for range 2 {
				line.cut()
				missed := s.sell(t, 5)
				line.restore()
				client.expect(t, missed)
				client.expect(t, s.sell(t, 1)) // live again, and nothing was repeated
			}
		})
	}
}

func TestCurlResumesAfterTheLastEventItPrinted(t *testing.T) {
	t.Parallel()
	s := shop{dev: stand.Dev(t)}
	url, key := s.dev.URL+firstPath, s.dev.Keys["acme"]
	before := s.sell(t, 5)

	ctx, kill := context.WithCancel(t.Context())
	first := beginCurl(t, ctx, url, key)
	first.expect(t, before)
	live := s.sell(t, 5)
	first.expect(t, live)
	kill()

	missed := s.sell(t, 5)
	second := beginCurl(t, t.Context(), url, key, "-H", "Last-Event-ID: "+live[len(live)-1].Position)
	second.expect(t, missed)
	second.expect(t, s.sell(t, 1))

	// A client that processed less than it received gets the rest again.
	third := beginCurl(t, t.Context(), url, key, "-H", "Last-Event-ID: "+live[1].Position)
	third.expect(t, live[2:])
	third.expect(t, missed)
}
