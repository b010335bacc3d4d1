package ratelimit

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylogic/pushserver/internal/redistest"
	"github.com/paylogic/pushserver/ratelimit/policy"
)

// diary is what a limiter logs.
type diary struct {
	mu   sync.Mutex // guards the following
	text bytes.Buffer
}

func (d *diary) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(p)
}

func (d *diary) lines() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Split(strings.TrimSpace(d.text.String()), "\n")
}

// openHasty returns a limiter as the program has it: it does not wait long.
func openHasty(t testing.TB, gateway string, addrs ...string) (*RedisLimiter, *diary) {
	d := &diary{}
	logger := slog.New(slog.NewTextHandler(d, nil))
	return NewRedisLimiter(connect(t, addrs...), RedisOptions{Gateway: gateway, Logger: logger}), d
}

// awaitShared takes until Redis decides again.
func awaitShared(t testing.TB, l *RedisLimiter, key string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for l.Take(ctx, charge(key, slow, 0)).Local {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("Redis does not decide on %s", key)
		}
	}
}

// introduce makes a limiter know of another gateway.
func introduce(t testing.TB, l *RedisLimiter, addrs ...string) {
	t.Helper()
	another := openLimiter(t, RedisOptions{Gateway: "another"}, addrs...)
	renew(t, another, newKey())
	renew(t, l, newKey())
	if got := l.Gateways(); got != 2 {
		t.Fatalf("%d gateways are known, want 2", got)
	}
}

func TestAttack86RedisAwayMeansAShareOfEachLimit(t *testing.T) {
	node := redistest.StartStandalone(t)
	l, log := openHasty(t, "frozen", node.Addr())
	key := newKey()
	awaitShared(t, l, key)
	introduce(t, l, node.Addr())
	before := l.Fallbacks()

	node.Pause() // it accepts, and answers nothing
	var took []time.Duration
	passed := 0
	const asked = 300
	for range asked {
		start := time.Now()
		v := l.Take(t.Context(), charge(key, slow, 1))
		took = append(took, time.Since(start))
		if !v.Local || len(v.Decisions) != 1 || v.Decisions[0].Policy != slow {
			t.Fatalf("%+v, want a local verdict on %v", v, slow)
		}
		if v.Allowed {
			passed++
		}
	}
	if want := slow.Quota / 2; passed != want {
		t.Errorf("%d passed, want a share of %d", passed, want)
	}
	if got := l.Fallbacks() - before; got != asked {
		t.Errorf("%d fallbacks are counted, want %d", got, asked)
	}
	if fastest := slices.Min(took[:breakAfter]); fastest > 2*TakeDeadline || fastest < TakeDeadline/2 {
		t.Errorf("the first verdicts took %v, want about %v, and more on a busy machine", took[:breakAfter], TakeDeadline)
	}
	slices.Sort(took)
	if median := took[asked/2]; median > 5*time.Millisecond {
		t.Errorf("half of the verdicts took %v or longer: no caller should wait while the breaker is open", median)
	}
	if got := log.lines(); len(got) != 1 || !strings.Contains(got[0], "level=WARN") || !strings.Contains(got[0], "gateways=2") ||
		strings.Contains(got[0], node.Addr()) {
		t.Errorf("logged %q, want one warning without an address", got)
	}

	node.Resume()
	awaitShared(t, l, key)
	if got := log.lines(); len(got) != 2 || !strings.Contains(got[1], "level=INFO") {
		t.Errorf("logged %q, want one line more", got)
	}
	// No late answer is taken for another's.
	another := newKey()
	for left := 4; left >= 0; left-- {
		if v := l.Take(t.Context(), charge(another, slow, 1)); !v.Allowed || v.Local || v.Decisions[0].Remaining != left {
			t.Errorf("after it thawed: %+v, want %d left", v, left)
		}
	}
}

func TestRedisFrozenCountsLeasesHere(t *testing.T) {
	node := redistest.StartStandalone(t)
	l, _ := openHasty(t, "frozen", node.Addr())
	key, idle := newKey(), newKey()
	awaitShared(t, l, key)
	introduce(t, l, node.Addr())
	if v := l.Take(t.Context(), stream(key, "1")); !v.Allowed || v.Local {
		t.Fatalf("%+v", v)
	}

	node.Pause()
	if v := l.Take(t.Context(), stream(key, "2")); !v.Allowed || !v.Local {
		t.Errorf("within the share, which is two: %+v", v)
	}
	v := l.Take(t.Context(), stream(key, "3"))
	if v.Allowed || !slices.Equal(idsOf(v.InTheWay), []string{"1", "2"}) {
		t.Errorf("beyond the share: %+v, want a refusal by 1 and 2", v)
	}
	ask := stream(key, "4")
	ask.TakeOver = true
	if v := l.Take(t.Context(), ask); !v.Allowed || !slices.Equal(idsOf(v.Ended), []string{"1"}) {
		t.Errorf("beyond the share: %+v, want 1 taken over", v)
	}
	if v := l.Take(t.Context(), stream(idle, "1")); !v.Allowed {
		t.Errorf("another key: %+v", v)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := l.List(ctx, key); !errors.Is(err, ErrUnavailable) {
		t.Errorf("list: %v, want ErrUnavailable", err)
	}
	if _, err := l.End(ctx, key, "2"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("end: %v, want ErrUnavailable", err)
	}
	held := []Lease{{Key: key, ID: "1"}, {Key: key, ID: "2"}, {Key: key, ID: "4"}}
	found, err := l.Renew(ctx, held)
	if !errors.Is(err, ErrUnavailable) || !slices.Equal(idsOf(found.Ended), []string{"1"}) || len(found.Surplus) > 0 {
		t.Errorf("renewed: %+v, %v; want 1 ended, and ErrUnavailable", found, err)
	}
	l.Release(ctx, held[0])

	// Redis learns what was decided without it.
	node.Resume()
	awaitShared(t, l, key)
	if over := renew(t, l, key, "2", "4"); len(over) != 0 {
		t.Errorf("renewed: %v are over, want none", over)
	}
	wantHeld(t, l, key, "2", "4") // the renewal gave 1 back, which could not be released
}

func TestRedisGoneMeansAnAnswerAtOnce(t *testing.T) {
	node := redistest.StartStandalone(t)
	l, log := openHasty(t, "gone", node.Addr())
	key := newKey()
	awaitShared(t, l, key)
	node.Kill()
	passed := 0
	for range 20 {
		v := l.Take(t.Context(), charge(key, slow, 1))
		if !v.Local {
			t.Fatalf("%+v, want a local verdict", v)
		}
		if v.Allowed {
			passed++
		}
	}
	if passed != slow.Quota {
		t.Errorf("%d passed the only gateway, want %d", passed, slow.Quota)
	}
	node.Restart()
	awaitShared(t, l, key)
	if got := log.lines(); len(got) != 2 {
		t.Errorf("logged %q, want two lines", got)
	}
}

// keyAt returns a key on the given master, or on any other.
func keyAt(t testing.TB, c *redistest.Cluster, master *redistest.Node, there bool) string {
	t.Helper()
	for range 1000 {
		if key := newKey(); (c.Master(ratesKey(key)) == master) == there {
			return key
		}
	}
	t.Fatal("no such key")
	return ""
}

func TestRedisDeadMasterConcernsItsKeysOnly(t *testing.T) {
	c := redistest.Shared(t)
	l, log := openHasty(t, "cluster", c.Addrs()...)
	sample := newKey()
	awaitShared(t, l, sample)
	master := c.Master(ratesKey(sample))
	here, elsewhere := keyAt(t, c, master, true), keyAt(t, c, master, false)
	mustTake := func(key string, local bool) {
		t.Helper()
		start := time.Now()
		v := l.Take(t.Context(), charge(key, slow, 1))
		if v.Local != local || time.Since(start) > time.Second {
			t.Errorf("%+v after %v, want local %t", v, time.Since(start), local)
		}
	}
	awaitShared(t, l, elsewhere)
	master.Pause()
	for range 4 {
		mustTake(here, true)
		mustTake(elsewhere, false)
	}
	master.Kill()
	c.AwaitMaster(ratesKey(here), master)
	awaitShared(t, l, here)
	master.Restart()
	c.AwaitHealthy()
	mustTake(here, false)

	// The address that failed has no stream any more: time forgets it.
	for _, f := range l.breaker.nodes {
		f.last = f.last.Add(-breakForgets)
	}
	renew(t, l, newKey())
	if got := log.lines(); len(got) != 2 || !strings.Contains(got[0], "level=WARN") || !strings.Contains(got[1], "level=INFO") {
		t.Errorf("logged %q, want a warning and its end", got)
	}
}

// Whatever a cluster does meanwhile, a limit lets through no more than itself and
// the share of a gateway that was by itself for a while.
func TestRedisLimitsHoldWhileAClusterChanges(t *testing.T) {
	c := redistest.Shared(t)
	l, _ := openHasty(t, "changes", c.Addrs()...)
	key := newKey()
	awaitShared(t, l, key)
	large := policy.Policy{Name: policy.Publishes, Quota: 10_000, Window: 100 * time.Hour}
	ctx, cancel := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	var mu sync.Mutex
	passed, local, asked := 0, 0, 0
	var slowest time.Duration
	for range 4 {
		callers.Go(func() {
			for ctx.Err() == nil {
				start := time.Now()
				v := l.Take(context.Background(), charge(key, large, 10))
				mu.Lock()
				asked++
				slowest = max(slowest, time.Since(start))
				if v.Allowed {
					passed += 10
				}
				if v.Local {
					local++
				}
				mu.Unlock()
			}
		})
	}
	from := c.Master(ratesKey(key))
	c.Failover(c.Replica(from))
	c.AwaitHealthy()
	for _, n := range c.Nodes() {
		if role, _ := n.Do("ROLE").([]any); role[0] == "master" && n != c.Master(ratesKey(key)) {
			c.MigrateSlot(ratesKey(key), n)
			break
		}
	}
	cancel()
	callers.Wait()
	c.AwaitHealthy()
	// While the node was away all were local, perhaps: use what is left in Redis.
	awaitShared(t, l, key)
	for {
		v := l.Take(t.Context(), charge(key, large, 10))
		if v.Allowed {
			passed += 10
		} else if !v.Local {
			break
		}
	}
	t.Logf("%d asked, %d passed, %d local, the slowest %v", asked, passed, local, slowest)
	if passed > 2*large.Quota {
		t.Errorf("%d passed, want at most the quota and a share of it, %d", passed, 2*large.Quota)
	}
	if slowest > time.Second {
		t.Errorf("a verdict took %v", slowest)
	}
	awaitShared(t, l, key)
	if v := l.Take(t.Context(), charge(key, large, 10)); v.Allowed || v.Local {
		t.Errorf("after the whole quota was used: %+v", v)
	}
}

func TestRedisCallerWhoLeavesIsNoFailure(t *testing.T) {
	l, log := openHasty(t, "left", redistest.StartStandalone(t).Addr())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 {
		if v := l.Take(ctx, charge(newKey(), slow, 1)); !v.Local {
			t.Errorf("%+v, want a local verdict", v)
		}
	}
	if got := log.lines(); l.Fallbacks() != 0 || got[0] != "" {
		t.Errorf("%d fallbacks, logged %q; want none", l.Fallbacks(), got)
	}
	awaitShared(t, l, newKey())
}
