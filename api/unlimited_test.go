package api

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams/eventlog"
)

// A server without limits refuses no caller, says nothing of limits, and still knows
// who is connected.
func TestUnlimitedRefusesNobody(t *testing.T) {
	r := startRig(t, eventlog.MemoryOptions{}, false, func(c *Config) { c.Unlimited = true })
	limits := within(t, "streams=1,connects=1/m,requests=1/m,publishes=1/s,replay=1/m,filters=1")
	reader := r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Limits: limits})
	publisher := r.issue(t, auth.Key{Kind: auth.Pub, Limits: limits})

	var views []*viewer
	var ids []string
	for _, query := range []string{"?types=a.*", "?types=a.b", "?types=a.*&subject=s"} {
		v := r.watch(t, reader, query)
		views, ids = append(views, v), append(ids, connectionOf(t, v))
	}
	const event = `{"merchant":"a","type":"a.b","subject":"s","data":0}`
	first := r.publish(t, "a", "a.b", "0", `,"subject":"s"`)
	for range 3 {
		if got := r.do(t, "POST", "/v1/events", publisher, event); got.status != 201 {
			t.Fatalf("a publish: %d %s", got.status, got.body)
		}
	}
	for i, v := range views {
		for range 4 {
			if e := v.next(t); e.Type != "a.b" {
				t.Fatalf("view %d was told %s %s", i, e.Type, e.Data)
			}
		}
	}
	for _, target := range []string{"/v1/events", "/v1/events", "/v1/state", "/v1/me", "/v1/stream?poll=1&last_event_id=" + first.Position.String()} {
		got := r.do(t, "GET", target, reader, "")
		if got.status != 200 || got.header.Get("RateLimit") != "" || got.header.Get("RateLimit-Policy") != "" {
			t.Errorf("%s: %d with RateLimit %q: %s", target, got.status, got.header.Get("RateLimit"), got.body)
		}
		if target == "/v1/me" && !strings.Contains(got.body, `"limits":{}`) {
			t.Errorf("me is told %s", got.body)
		}
	}

	early := r.watch(t, reader, "") // ended before the limiter knows of it
	if got := r.do(t, "DELETE", "/v1/connections/"+connectionOf(t, early), reader, ""); got.status != 200 {
		t.Errorf("ended at once with %d: %s", got.status, got.body)
	}
	if e := early.next(t); e.Type != "stream.goodbye" {
		t.Errorf("the stream was told %s", e.Type)
	}
	eventually(t, "all connections are shown", func() bool {
		got := r.do(t, "GET", "/v1/connections", reader, "")
		return !slices.ContainsFunc(ids, func(id string) bool { return !strings.Contains(got.body, id) })
	})
	var ended openConnection
	got := r.do(t, "DELETE", "/v1/connections/"+ids[0], reader, "")
	if err := json.Unmarshal([]byte(got.body), &ended); err != nil || ended.ID != ids[0] {
		t.Errorf("ended with %d: %s", got.status, got.body)
	}
	if e := views[0].next(t); e.Type != "stream.goodbye" {
		t.Errorf("the stream was told %s", e.Type)
	}
}
