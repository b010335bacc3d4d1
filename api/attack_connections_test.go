package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestAttack36ConnectionOfAnotherMerchant(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	v := r.watch(t, r.b, "")
	id := connectionOf(t, v)
	mine := r.do(t, "GET", "/v1/connections", r.a, "")
	if mine.status != 200 || strings.Contains(mine.body, id) {
		t.Errorf("A sees %s", mine.body)
	}
	got, unknown := r.do(t, "DELETE", "/v1/connections/"+id, r.a, ""), r.do(t, "DELETE", "/v1/connections/con_unknown", r.a, "")
	got.refused(t, "another's connection", 404, "not-found")
	strip := func(body string) string { return body[:strings.Index(body, `"request_id"`)] }
	if strip(got.body) != strip(unknown.body) {
		t.Errorf("another's: %s\nunknown: %s", got.body, unknown.body)
	}
	if list := r.do(t, "GET", "/v1/connections", r.b, ""); !strings.Contains(list.body, id) {
		t.Errorf("B sees %s", list.body)
	}
	r.alive(t)
}

// connectionOf returns the id of a stream that has just begun.
func connectionOf(t testing.TB, v *viewer) string {
	t.Helper()
	var open struct {
		Connection string `json:"connection"`
	}
	if e := v.next(t); e.Type != "stream.open" || json.Unmarshal(e.Data, &open) != nil || open.Connection == "" {
		t.Fatalf("the stream begins with %s %s", e.Type, e.Data)
	}
	return open.Connection
}

func TestMyConnectionsAreShownAndEnded(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	v := r.watch(t, r.a, "?types=payment.*&filter=data.n>1", "User-Agent", "till/7 (böse)")
	id := connectionOf(t, v)
	var c openConnection
	eventually(t, "the stream has a position", func() bool { // none is shown while it catches up
		var list struct{ Connections []openConnection }
		got := r.do(t, "GET", "/v1/connections", r.a, "")
		if err := json.Unmarshal([]byte(got.body), &list); err != nil || len(list.Connections) != 1 {
			t.Fatalf("%v: %s", err, got.body)
		}
		c = list.Connections[0]
		return c.Position != ""
	})
	if c.ID != id || c.Address != "127.0.0.x" || !strings.HasPrefix(c.Agent, "till/7") || c.Filter != "data.n>1" ||
		fmt.Sprint(c.Types) != "[payment.*]" || time.Since(c.Since) > time.Minute {
		t.Errorf("shown as %+v", c)
	}
	if got := r.do(t, "DELETE", "/v1/connections/"+id, r.a, ""); got.status != 200 {
		t.Errorf("ended with %d: %s", got.status, got.body)
	}
	if e := v.next(t); e.Type != "stream.goodbye" || !strings.Contains(string(e.Data), endedByRequest) {
		t.Errorf("the stream was told %s %s", e.Type, e.Data)
	}
	r.do(t, "DELETE", "/v1/connections/"+id, r.a, "").refused(t, "once more", 404, "not-found")
}
