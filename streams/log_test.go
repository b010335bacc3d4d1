package streams

import (
	"context"
	"testing"

	"github.com/paylogic/pushserver/internal/redistest"
	"github.com/paylogic/pushserver/streams/eventlog"
)

func newEvent(id string) eventlog.Event {
	return eventlog.Event{
		ID: id, Source: "inventory", Type: "ticket.availability", Subject: "event/42/type/7",
		Time: "2026-11-23T03:00:00Z", Merchant: "acme", Data: []byte(`{"available":9}`),
	}
}

func newState(id, subject, data string) eventlog.Event {
	e := newEvent(id)
	e.Subject, e.Data, e.State = subject, []byte(data), true
	return e
}

func mustAppend(t testing.TB, l eventlog.Log, log string, events ...eventlog.Event) []eventlog.ID {
	t.Helper()
	receipts, err := l.Append(context.Background(), log, events)
	if err != nil {
		t.Fatalf("append %d events to %q: %v", len(events), log, err)
	}
	ids := make([]eventlog.ID, len(receipts))
	for i, r := range receipts {
		if r.Err != nil || r.Duplicate {
			t.Fatalf("event %d of %d to %q: receipt %+v, want a new position", i, len(events), log, r)
		}
		ids[i] = r.ID
	}
	return ids
}

func mustBounds(t testing.TB, l eventlog.Log, log string) eventlog.Bounds {
	t.Helper()
	b, err := l.Bounds(context.Background(), log)
	if err != nil {
		t.Fatalf("bounds of %q: %v", log, err)
	}
	return b
}

// openCluster opens a log in its own Redis Cluster.
func openCluster(t *testing.T) *eventlog.RedisLog {
	t.Helper()
	cluster, err := redistest.Open(t.Context(), redistest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Close() })
	log, err := eventlog.OpenRedisLog(t.Context(), eventlog.RedisOptions{Addrs: cluster.Addrs()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}
