package api

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/eventlog"
)

// alone is a limiter that knows none of the leases it granted, as Redis does if it
// was away.
type alone struct {
	*ratelimit.MemoryLimiter
	given func(ratelimit.Lease)
}

func (l *alone) Take(_ context.Context, ask ratelimit.Ask) ratelimit.Verdict {
	if ask.Lease != nil && l.given != nil {
		lease := *ask.Lease
		lease.Key = ask.Key
		l.given(lease)
	}
	return ratelimit.Verdict{Allowed: true}
}

func TestStreamBeyondTheLimitEndsAtTheNextRenewal(t *testing.T) {
	limiter := &alone{MemoryLimiter: ratelimit.NewMemoryLimiter("alone")}
	given := make(chan ratelimit.Lease, 2)
	limiter.given = func(l ratelimit.Lease) { given <- l }
	r := startRig(t, eventlog.MemoryOptions{}, false, func(c *Config) { c.Limiter = limiter })
	key := r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Limits: within(t, "streams=2")})
	older := r.watch(t, key, "")
	connectionOf(t, older)
	time.Sleep(2 * time.Millisecond) // leases are ordered by ms
	newer := r.watch(t, key, "")
	connectionOf(t, newer)
	another := ratelimit.Lease{Key: (<-given).Key, ID: "con_another", Since: time.Now().Add(-time.Hour)}
	if _, err := limiter.Renew(t.Context(), []ratelimit.Lease{another}); err != nil {
		t.Fatal(err)
	}
	r.server.renewOnce(t.Context())
	e := newer.next(t)
	if e.Type != "stream.goodbye" || !strings.Contains(string(e.Data), `"over_limit"`) || !strings.Contains(string(e.Data), `"reconnect":true`) {
		t.Errorf("the newest stream was told %s %s", e.Type, e.Data)
	}
	r.publish(t, "a", "a.b", "0", "")
	if e := older.next(t); e.Type != "a.b" {
		t.Errorf("a stream within the limit was told %s %s", e.Type, e.Data)
	}
}

func TestStreamThatIsEndedWhileItOpensSaysSo(t *testing.T) {
	limiter := &alone{MemoryLimiter: ratelimit.NewMemoryLimiter("alone")}
	r := startRig(t, eventlog.MemoryOptions{}, false, func(c *Config) { c.Limiter = limiter })
	limiter.given = func(l ratelimit.Lease) {
		if !r.server.endConnection(l.Key, l.ID, streams.Goodbye{Reason: endedByTakeover, Retry: goodbyeForGood}) {
			t.Error("a connection that has a lease is not known")
		}
	}
	v := r.watch(t, r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a"}), "")
	for {
		e := v.next(t)
		if e.Type == "stream.open" {
			continue
		}
		if e.Type != "stream.goodbye" || !strings.Contains(string(e.Data), `"taken_over"`) {
			t.Errorf("the stream was told %s %s", e.Type, e.Data)
		}
		break
	}
}
