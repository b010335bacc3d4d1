package ratelimit

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/paylogic/pushserver/streams/redistest"
)

// awaitLane waits until the way to a node is taken or free, and so many calls wait
// for it.
func awaitLane(t testing.TB, l *RedisLimiter, node string, busy bool, waiting int) {
	t.Helper()
	lane := l.lanes.to(node)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		lane.mu.Lock()
		isBusy, wait := lane.busy, len(lane.waiting)
		lane.mu.Unlock()
		if isBusy == busy && wait == waiting {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("busy %t with %d calls that wait, want %t and %d", isBusy, wait, busy, waiting)
		}
	}
}

// Calls that come while one is under way are made together, and each gets an answer
// of its own.
func TestRedisCallsOfABusyNodeShareTrips(t *testing.T) {
	redis := redistest.StartStandalone(t)
	l := openLimiter(t, RedisOptions{}, redis.Addr())
	var sent roundTrips
	l.client.AddHook(&sent)
	key := newKey()
	policy := Policy{Name: Publishes, Quota: 1_000, Window: time.Minute * 1_000}
	take(t, l, charge(key, policy, 1))                                       // the node learns the script
	l.Take(t.Context(), charge(key, policy, 0), charge(newKey(), policy, 0)) // there is a connection for many

	const callers = 1 + 2*tripCalls
	redis.Pause()
	sent.n.Store(0)
	left := make([]int, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			v := l.Take(t.Context(), charge(key, policy, 1))
			if v.Local || !v.Allowed {
				t.Errorf("caller %d: %+v", i, v)
				return
			}
			left[i] = v.Decisions[0].Remaining
		})
	}
	awaitLane(t, l, redis.Addr(), true, callers-1)
	redis.Resume()
	all.Wait()
	if got := sent.n.Load(); got != 3 {
		t.Errorf("%d calls took %d round trips, want 3", callers, got)
	}
	slices.Sort(left)
	for i := range left {
		if left[i] != left[0]+i {
			t.Fatalf("what was left is %v, want as many different numbers in a row", left)
		}
	}
}

// Whoever does not want to wait any more goes, and those behind go on.
func TestRedisCallerLeavesTheLane(t *testing.T) {
	redis := redistest.StartStandalone(t)
	l := openLimiter(t, RedisOptions{}, redis.Addr())
	key := newKey()
	take(t, l, charge(key, generous.Of(Publishes), 1))
	redis.Pause()
	var all sync.WaitGroup
	answers := make(chan Verdict, 2)
	all.Go(func() { answers <- l.Take(t.Context(), charge(key, generous.Of(Publishes), 1)) })
	awaitLane(t, l, redis.Addr(), true, 0)
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan Verdict, 1)
	all.Go(func() { gone <- l.Take(ctx, charge(key, generous.Of(Publishes), 1)) })
	awaitLane(t, l, redis.Addr(), true, 1)
	all.Go(func() { answers <- l.Take(t.Context(), charge(key, generous.Of(Publishes), 1)) })
	awaitLane(t, l, redis.Addr(), true, 2)
	leave()
	if v := <-gone; !v.Local {
		t.Errorf("whoever left is told %+v", v)
	}
	redis.Resume()
	all.Wait()
	for range 2 {
		if v := <-answers; v.Local || !v.Allowed {
			t.Errorf("somebody who waited is told %+v", v)
		}
	}
	awaitLane(t, l, redis.Addr(), false, 0)
}
