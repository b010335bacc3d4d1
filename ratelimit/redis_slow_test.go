package ratelimit

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/redistest"
)

// delay holds up the calls about one key.
type delay struct {
	key string
	by  time.Duration
}

func (d delay) DialHook(next redis.DialHook) redis.DialHook { return next }

func (d delay) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if slices.Contains(cmd.Args(), any(ratesKey(d.key))) {
			time.Sleep(d.by)
		}
		return next(ctx, cmd)
	}
}

func (d delay) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestRedisBusyIsNotAway(t *testing.T) {
	l, log := openHasty(t, "busy", redistest.StartStandalone(t).Addr())
	l.patience = 200 * time.Millisecond // more than a busy machine takes for the others
	key := newKey()
	awaitShared(t, l, key)
	l.client.AddHook(delay{key, 3 * l.patience})

	ctx, cancel := context.WithCancel(t.Context())
	others := make(chan struct{})
	go func() {
		defer close(others)
		for other := newKey(); ctx.Err() == nil; time.Sleep(time.Millisecond) {
			l.Take(ctx, charge(other, slow, 0))
		}
	}()
	if v := l.Take(t.Context(), charge(key, slow, 1)); v.Local || v.Decisions[0].Remaining != 4 {
		t.Errorf("while the node answers others: %+v, want its verdict", v)
	}
	cancel()
	<-others
	if v := l.Take(t.Context(), charge(key, slow, 1)); !v.Local {
		t.Errorf("while the node says nothing: %+v, want a local verdict", v)
	}
	if got := log.lines(); got[0] != "" {
		t.Errorf("logged %q: one late answer is no news", got)
	}
}

func TestRedisLateLeaseIsGivenBack(t *testing.T) {
	node := redistest.StartStandalone(t)
	l, _ := openHasty(t, "late", node.Addr())
	l.patience = 300 * time.Millisecond
	key := newKey()
	awaitShared(t, l, key)
	introduce(t, l, node.Addr())
	for _, id := range []string{"1", "2"} { // all of its share
		if v := l.Take(t.Context(), stream(key, id)); !v.Allowed || v.Local {
			t.Fatalf("%+v", v)
		}
	}
	node.Pause()
	if v := l.Take(t.Context(), stream(key, "3")); v.Allowed || !v.Local {
		t.Errorf("beyond the share: %+v, want a local refusal", v)
	}
	node.Resume() // and finds the call
	awaitShared(t, l, key)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		leases, err := l.List(t.Context(), key)
		if err == nil && slices.Equal(idsOf(leases), []string{"1", "2"}) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v are held (%v), want 1 and 2: nobody has 3", idsOf(leases), err)
		}
	}
}

// passTrust has the time pass after which Redis knows all leases.
func passTrust(l *RedisLimiter) {
	l.doubts.mu.Lock()
	defer l.doubts.mu.Unlock()
	l.doubts.untrue = time.Time{}
}

func TestRedisLeasesGivenWithoutItAreConfirmed(t *testing.T) {
	node := redistest.StartStandalone(t)
	l, _ := openHasty(t, "alone", node.Addr())
	another, _ := openHasty(t, "another", node.Addr())
	another.patience = time.Second
	full, free, left, taken := newKey(), newKey(), newKey(), newKey()
	awaitShared(t, l, full)
	awaitShared(t, another, full)
	introduce(t, l, node.Addr())
	for _, id := range []string{"1", "2", "3", "4"} {
		for _, key := range []string{full, taken} {
			if v := another.Take(t.Context(), stream(key, id)); !v.Allowed || v.Local {
				t.Fatalf("%+v", v)
			}
		}
	}

	node.Kill()
	over := stream(taken, "9")
	over.TakeOver = true
	for _, ask := range []Ask{stream(full, "5"), stream(full, "6"), stream(free, "7"), stream(left, "8"), stream(taken, "5"), over} {
		if v := l.Take(t.Context(), ask); !v.Allowed || !v.Local {
			t.Fatalf("within the share: %+v", v)
		}
	}
	l.Release(t.Context(), Lease{Key: left, ID: "8"})
	if refused, err := l.Confirm(t.Context()); err == nil || len(refused) > 0 {
		t.Errorf("without Redis: %v are refused, %v; want none and an error", idsOf(refused), err)
	}
	node.Restart()
	awaitShared(t, another, full)
	awaitShared(t, l, full)
	renew(t, another, full, "1", "2", "3", "4")
	renew(t, another, taken, "1", "2", "3", "4")
	if over := renew(t, l, full, "5", "6"); len(over) > 0 {
		t.Errorf("renewed in doubt: %v are over, want none", over)
	}
	wantHeld(t, another, full, "1", "2", "3", "4")

	// It may have leases that are over: one could not be given back.
	if refused, err := l.Confirm(t.Context()); !errors.Is(err, ErrUnavailable) || len(refused) > 0 {
		t.Errorf("too early: %v are refused, %v; want none and ErrUnavailable", idsOf(refused), err)
	}
	passTrust(l)
	refused, err := l.Confirm(t.Context())
	if err != nil || !slices.Equal(idsOf(refused), []string{"6", "9"}) {
		t.Fatalf("%v are refused, %v; want the youngest of each key", idsOf(refused), err)
	}
	wantHeld(t, another, full, "1", "2", "3", "4", "5")
	wantHeld(t, another, taken, "1", "2", "3", "4", "5") // whoever took over comes back, and does so again
	wantHeld(t, another, free, "7")
	wantHeld(t, another, left)
	if over := renew(t, l, full, "5", "6"); !slices.Equal(over, []string{"6"}) {
		t.Errorf("renewed: %v are over, want 6", over)
	}
	if refused, err := l.Confirm(t.Context()); err != nil || len(refused) > 0 {
		t.Errorf("once more: %v are refused, %v; want nothing to ask", idsOf(refused), err)
	}
}
