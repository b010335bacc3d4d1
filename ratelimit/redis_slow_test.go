package ratelimit

import (
	"context"
	"maps"
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
			select {
			case <-time.After(d.by):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return next(ctx, cmd)
	}
}

func (d delay) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestRedisIsWaitedForUntilTheDeadline(t *testing.T) {
	l, log := openHasty(t, "slow", redistest.StartStandalone(t).Addr())
	l.deadline = 2 * time.Second
	slowly, late := newKey(), newKey()
	awaitShared(t, l, slowly)
	l.client.AddHook(delay{slowly, l.deadline / 4})
	l.client.AddHook(delay{late, 4 * l.deadline})

	start := time.Now()
	if v := l.Take(t.Context(), charge(slowly, slow, 1)); v.Local || v.Decisions[0].Remaining != 4 || time.Since(start) < l.deadline/4 {
		t.Errorf("a slow answer: %+v after %v, want it", v, time.Since(start))
	}
	start = time.Now()
	if v := l.Take(t.Context(), charge(late, slow, 1)); !v.Local || time.Since(start) > 2*l.deadline {
		t.Errorf("an answer after the deadline: %+v after %v, want a local verdict at the deadline", v, time.Since(start))
	}
	if got := log.lines(); got[0] != "" || l.Fallbacks() != 1 {
		t.Errorf("logged %q and counted %d fallbacks: one late answer is one fallback, and no news", got, l.Fallbacks())
	}
}

func TestRedisLateLeaseIsGivenBack(t *testing.T) {
	node := redistest.StartStandalone(t)
	l, _ := openHasty(t, "late", node.Addr())
	l.deadline = 300 * time.Millisecond
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
		renew(t, l, key, "1", "2")
		leases, err := l.List(t.Context(), key)
		if err == nil && slices.Equal(idsOf(leases), []string{"1", "2"}) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v are held (%v), want 1 and 2: no client has 3", idsOf(leases), err)
		}
	}
}

// A lease that was given back does not return with its own call.
func TestRedisDoesNotHoldAReleasedLease(t *testing.T) {
	l := openLimiter(t, RedisOptions{}, redistest.StartStandalone(t).Addr())
	key := newKey()
	l.Release(t.Context(), Lease{Key: key, ID: "1"})
	take(t, l, stream(key, "1"))
	wantHeld(t, l, key)
}

// While Redis is away two gateways grant more than the limit. Afterwards the
// oldest stay, whichever gateway renews first, and no more end than must.
func TestRedisTwoRenewalsLeaveTheOldest(t *testing.T) {
	node := redistest.StartStandalone(t)
	a, b := openLimiter(t, RedisOptions{Gateway: "a"}, node.Addr()), openLimiter(t, RedisOptions{Gateway: "b"}, node.Addr())
	live := map[*RedisLimiter]map[string]bool{}
	round := func(key string) (ended []string) {
		t.Helper()
		for _, l := range []*RedisLimiter{a, b} {
			_, surplus := renewSome(t, l, key, slices.Sorted(maps.Keys(live[l]))...)
			for _, id := range surplus {
				delete(live[l], id)
			}
			ended = append(ended, surplus...)
		}
		return ended
	}
	set := func(ids ...string) map[string]bool {
		all := map[string]bool{}
		for _, id := range ids {
			all[id] = true
		}
		return all
	}
	for name, test := range map[string]struct {
		known, a, b []string // known to Redis before, all of them b's
		want        []string
	}{
		"all are new":               {nil, []string{"1", "4", "5", "8", "9"}, []string{"2", "3", "6", "7"}, []string{"1", "2", "3", "4", "5"}},
		"those of a are the newest": {nil, []string{"6", "7", "8"}, []string{"1", "2", "3", "4"}, []string{"1", "2", "3", "4", "6"}},
		"those of b were known":     {[]string{"1", "2", "3", "4"}, []string{"5", "6"}, []string{"1", "2", "3", "4"}, []string{"1", "2", "3", "4", "5"}},
		"some of b have gone":       {[]string{"1", "2", "3", "4", "5"}, []string{"6", "7", "8"}, []string{"1", "2"}, []string{"1", "2", "6", "7", "8"}},
		"there is room":             {[]string{"1"}, []string{"3"}, []string{"1"}, []string{"1", "3"}},
	} {
		key := newKey()
		mustHold(t, b, key, test.known...)
		redisPass(t, b, key, freshLife) // Redis was away for so long
		live[a], live[b] = set(test.a...), set(test.b...)
		ended := append(round(key), round(key)...)
		left := slices.Sorted(maps.Keys(live[a]))
		left = append(left, slices.Collect(maps.Keys(live[b]))...)
		slices.Sort(left)
		if !slices.Equal(left, test.want) {
			t.Errorf("%s: %v remain and %v ended, want %v to remain", name, left, ended, test.want)
		}
		if more := round(key); len(more) > 0 {
			t.Errorf("%s: a third renewal ends %v", name, more)
		}
	}
}
