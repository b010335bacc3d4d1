package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit"
)

// alone is a limiter that gives leases without Redis, and has no place for any of
// them when Redis answers, which it does not at first.
type alone struct {
	*ratelimit.MemoryLimiter
	given func(ratelimit.Lease)

	mu     sync.Mutex // guards the following
	leases []ratelimit.Lease
	asked  int
}

func (l *alone) Take(ctx context.Context, ask ratelimit.Ask) ratelimit.Verdict {
	v := l.MemoryLimiter.Take(ctx, ask)
	if ask.Lease != nil {
		lease := *ask.Lease
		lease.Key = ask.Key
		v.Local = true
		l.mu.Lock()
		l.leases = append(l.leases, lease)
		l.mu.Unlock()
		if l.given != nil {
			l.given(lease)
		}
	}
	return v
}

func (l *alone) Confirm(context.Context) (refused []ratelimit.Lease, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asked++; l.asked == 1 {
		return nil, errors.New("not yet")
	}
	refused, l.leases = l.leases, nil
	return refused, nil
}

func TestStreamWithoutAPlaceEndsOnceThatIsKnown(t *testing.T) {
	limiter := &alone{MemoryLimiter: ratelimit.NewMemoryLimiter("alone")}
	r := startRig(t, eventlog.MemoryOptions{}, false, func(c *Config) { c.Limiter = limiter })
	v := r.watch(t, r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a"}), "")
	connectionOf(t, v)
	e := v.next(t)
	if e.Type != "stream.goodbye" || !strings.Contains(string(e.Data), `"over_limit"`) || !strings.Contains(string(e.Data), `"reconnect":true`) {
		t.Errorf("the stream was told %s %s", e.Type, e.Data)
	}
}

func TestStreamThatIsEndedWhileItOpensSaysSo(t *testing.T) {
	limiter := &alone{MemoryLimiter: ratelimit.NewMemoryLimiter("alone")}
	r := startRig(t, eventlog.MemoryOptions{}, false, func(c *Config) { c.Limiter = limiter })
	limiter.given = func(l ratelimit.Lease) {
		if !r.server.endConnection(l.Key, l.ID, goodbyeBecause(endedByTakeover)) {
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
