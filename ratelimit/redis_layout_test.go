package ratelimit

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/redistest"
	"github.com/paylogic/pushserver/ratelimit/policy"
)

// roundTrips counts what a client sends: a command, or a pipeline of them.
type roundTrips struct{ n atomic.Int64 }

func (r *roundTrips) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (r *roundTrips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		r.n.Add(1)
		return next(ctx, cmd)
	}
}

func (r *roundTrips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if len(cmds) > 0 {
			r.n.Add(1)
		}
		return next(ctx, cmds)
	}
}

// connectOf asks for all that a connect takes.
func connectOf(key, id string, l policy.Limits) Ask {
	return Ask{
		Key:     key,
		Charges: []Charge{{l.Of(policy.Requests), 1}, {l.Of(policy.Connects), 1}, {l.Of(policy.Streams), 1}, {l.Of(policy.Filters), 1}},
		Lease:   &Lease{ID: id, Since: time.Now(), Filter: "types=payment.*", Info: []byte(`{"address":"203.0.113.0"}`)},
	}
}

func TestRedisTakesOneRoundTrip(t *testing.T) {
	l := openLimiter(t, RedisOptions{}, redistest.Shared(t).Addrs()...)
	var sent roundTrips
	l.client.AddHook(&sent)
	limits := policy.Defaults()
	wantOneTrip := func(what string, ask Ask) {
		t.Helper()
		sent.n.Store(0)
		if v := l.Take(t.Context(), ask); !v.Allowed {
			t.Fatalf("%s: %+v", what, v)
		}
		if got := sent.n.Load(); got != 1 {
			t.Errorf("%s: %d round trips, want one", what, got)
		}
	}
	key := newKey()
	take(t, l, connectOf(key, "con_0", limits)) // the node learns the scripts
	take(t, l, charge(key, limits.Of(policy.Publishes), 1))
	wantOneTrip("a connect", connectOf(key, "con_1", limits))
	wantOneTrip("a publish", Ask{Key: key, Charges: []Charge{{limits.Of(policy.Requests), 1}, {limits.Of(policy.Publishes), 100}}})

	// A caller that does not wait for what refused it costs Redis no call.
	refused := charge(key, slow, 5)
	take(t, l, refused)
	take(t, l, refused)
	sent.n.Store(0)
	for range 100 {
		if v := take(t, l, refused); v.Allowed {
			t.Fatalf("%+v", v)
		}
	}
	if got := sent.n.Load(); got != 0 {
		t.Errorf("100 refusals that were known: %d round trips, want none", got)
	}
}

func TestRedisKeysOfAKeyShareASlotAndExpire(t *testing.T) {
	node := redistest.StartStandalone(t)
	l := openLimiter(t, RedisOptions{}, node.Addr())
	key := newKey()
	take(t, l, connectOf(key, "con_1", policy.Defaults()))
	take(t, l, connectOf(key, "con_2", policy.Defaults()))
	l.Release(t.Context(), Lease{Key: key, ID: "con_1"})
	renew(t, l, key, "con_2")

	slot := redistest.Slot(ratesKey(key))
	all, err := l.client.Keys(t.Context(), "*").Result()
	if err != nil || len(all) != 6 {
		t.Fatalf("the keys are %v (%v), want five of %s and the gateways", all, err, key)
	}
	for _, name := range all {
		if !strings.HasPrefix(name, "ps:{limit") {
			t.Errorf("%s lies outside ps:{limit", name)
		}
		if name != redisGateways && redistest.Slot(name) != slot {
			t.Errorf("%s lies in slot %d, want %d", name, redistest.Slot(name), slot)
		}
		ttl, err := l.client.PTTL(t.Context(), name).Result()
		if err != nil || ttl <= 0 || ttl > 2*time.Minute {
			t.Errorf("%s lives for %v (%v), want at most two minutes", name, ttl, err)
		}
	}
}

func TestRedisCountsGatewaysThatLive(t *testing.T) {
	node := redistest.StartStandalone(t)
	var all []*RedisLimiter
	for _, name := range []string{"a", "b", "c"} {
		all = append(all, openLimiter(t, RedisOptions{Gateway: name}, node.Addr()))
	}
	for round, want := range [][]int{{1, 2, 3}, {3, 3, 3}} {
		for i, l := range all {
			renew(t, l, newKey())
			if got := l.Gateways(); got != want[i] {
				t.Errorf("round %d: %s knows %d gateways, want %d", round, l.Gateway(), got, want[i])
			}
		}
	}
	// One has not been heard of for too long.
	if err := all[0].client.ZIncrBy(t.Context(), redisGateways, -float64(LeaseLife.Milliseconds()), "c").Err(); err != nil {
		t.Fatal(err)
	}
	renew(t, all[0], newKey())
	if got := all[0].Gateways(); got != 2 {
		t.Errorf("%d gateways are known, want 2", got)
	}
}

// What a gateway that died held is free when it was not renewed for a lease's
// life, and what the other holds is not.
func TestRedisLeasesOfADeadGatewayReturn(t *testing.T) {
	addrs := redistest.Shared(t).Addrs()
	dead, alive := openLimiter(t, RedisOptions{Gateway: "dead"}, addrs...), openLimiter(t, RedisOptions{Gateway: "alive"}, addrs...)
	key := newKey()
	mustHold(t, dead, key, "1", "2", "3")
	mustHold(t, alive, key, "4", "5")
	v := take(t, alive, stream(key, "6"))
	if v.Allowed || len(v.InTheWay) != 5 || v.InTheWay[0].Gateway != "dead" || v.InTheWay[4].Gateway != "alive" {
		t.Fatalf("%+v, want the leases of both in the way", v)
	}
	for range 3 {
		redisPass(t, alive, key, RenewEvery)
		renew(t, alive, key, "4", "5")
	}
	wantHeld(t, alive, key, "4", "5")
	mustHold(t, alive, key, "6", "7", "8")
}

func TestRedisTakeOverAcrossGateways(t *testing.T) {
	addrs := redistest.Shared(t).Addrs()
	a, b := openLimiter(t, RedisOptions{Gateway: "a"}, addrs...), openLimiter(t, RedisOptions{Gateway: "b"}, addrs...)
	key := newKey()
	mustHold(t, a, key, "1", "2", "3", "4", "5")
	ask := stream(key, "6")
	ask.TakeOver = true
	v := take(t, b, ask)
	if !v.Allowed || len(v.Ended) != 1 || v.Ended[0].Gateway != "a" || v.Ended[0].ID != "1" {
		t.Fatalf("%+v, want 1 of gateway a taken over", v)
	}
	if over := renew(t, a, key, "1", "2", "3", "4", "5"); len(over) != 1 || over[0] != "1" {
		t.Errorf("a renewed: %v are over, want 1", over)
	}
	wantHeld(t, b, key, "2", "3", "4", "5", "6")
}

// More leases than fit into one call or one pipeline, of more keys than that.
func TestRedisRenewsAllAtOnce(t *testing.T) {
	l := openLimiter(t, RedisOptions{}, redistest.Shared(t).Addrs()...)
	var held []Lease
	add := func(key string, n int) {
		for i := range n {
			held = append(held, Lease{Key: key, ID: key + "/" + string(rune('a'+i%26)) + time.Duration(i).String(), Since: time.UnixMilli(int64(i))})
		}
	}
	large := newKey()
	add(large, 2*mostLeases+1)
	var small []string
	for range 3 * mostCalls {
		small = append(small, newKey())
		add(small[len(small)-1], 2)
	}
	for range 2 {
		if found, err := l.Renew(t.Context(), held); err != nil || len(found.Ended)+len(found.Surplus) != 0 {
			t.Fatalf("renewed: %+v, %v", found, err)
		}
	}
	for _, key := range append(small, large) {
		leases, err := l.List(t.Context(), key)
		want := 2
		if key == large {
			want = 2*mostLeases + 1
		}
		if err != nil || len(leases) != want {
			t.Fatalf("%s holds %d (%v), want %d", key, len(leases), err, want)
		}
	}
	l.Release(t.Context(), held...)
	for _, key := range append(small, large) {
		wantHeld(t, l, key)
	}
}
