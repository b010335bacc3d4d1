package ratelimit

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylogic/pushserver/ratelimit/policy"
)

// stream asks for one of five streams; ids order them by age.
func stream(key, id string) Ask {
	n, _ := strconv.Atoi(id)
	return Ask{Key: key, Charges: []Charge{{five, 1}}, Lease: &Lease{ID: id, Since: time.UnixMilli(int64(1000 + n))}}
}

func mustHold(t fataler, l Limiter, key string, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if v := take(t, l, stream(key, id)); !v.Allowed {
			t.Fatalf("lease %s: %+v", id, v)
		}
	}
}

func idsOf(leases []Lease) []string {
	ids := make([]string, len(leases))
	for i, l := range leases {
		ids[i] = l.ID
	}
	return ids
}

// wantHeld fails unless a key's leases are these, oldest first.
func wantHeld(t fataler, l Leases, key string, want ...string) {
	t.Helper()
	leases, err := l.List(context.Background(), key)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	if got := idsOf(leases); !slices.Equal(got, want) && len(got)+len(want) > 0 {
		t.Fatalf("%s holds %v, want %v", key, got, want)
	}
}

// renew renews leases by id, and returns which were ended. None may be surplus.
func renew(t fataler, l Leases, key string, ids ...string) []string {
	t.Helper()
	ended, surplus := renewSome(t, l, key, ids...)
	if len(surplus) > 0 {
		t.Fatalf("renew %v: %v are surplus, want none", ids, surplus)
	}
	return ended
}

// renewSome renews leases by id with a limit of five, as a gateway does.
func renewSome(t fataler, l Leases, key string, ids ...string) (ended, surplus []string) {
	t.Helper()
	var held []Lease
	for _, id := range ids {
		lease := *stream(key, id).Lease
		lease.Key, lease.Limit = key, five.Quota
		held = append(held, lease)
	}
	found, err := l.Renew(context.Background(), held)
	if err != nil {
		t.Fatalf("renew: %v", err)
	}
	return idsOf(found.Ended), idsOf(found.Surplus)
}

func testConcurrentLeases(t *testing.T, _ subject, l limiter) {
	key := newKey()
	var stand atomic.Int64
	var callers sync.WaitGroup
	for i := range 20 {
		callers.Go(func() {
			if l.Take(t.Context(), stream(key, strconv.Itoa(i))).Allowed {
				stand.Add(1)
			}
		})
	}
	callers.Wait()
	leases, err := l.List(t.Context(), key)
	if got := stand.Load(); got != 5 || err != nil || len(leases) != 5 {
		t.Fatalf("%d of 20 stand, %d are listed (%v), want 5", got, len(leases), err)
	}
	if v := take(t, l, stream(key, "20")); v.Allowed {
		t.Errorf("a sixth: %+v", v)
	}
	l.Release(t.Context(), leases[2])
	if v := take(t, l, stream(key, "20")); !v.Allowed || v.Decisions[0].Remaining != 0 {
		t.Errorf("a sixth once one is gone: %+v", v)
	}
}

func testLeaseExpires(t *testing.T, s subject, l limiter) {
	key := newKey()
	mustHold(t, l, key, "1", "2", "3", "4", "5")
	s.pass(t, l, key, 20*time.Second)
	if over := renew(t, l, key, "2", "4"); len(over) != 0 {
		t.Errorf("%v are over, want none", over)
	}
	s.pass(t, l, key, LeaseLife-20*time.Second)
	wantHeld(t, l, key, "2", "4")
	wantLeft(t, l, key, five, 3)
	s.pass(t, l, key, LeaseLife)
	wantHeld(t, l, key)
	wantLeft(t, l, key, five, 5)
}

func testLeaseClockSetBack(t *testing.T, s subject, l limiter) {
	key := newKey()
	mustHold(t, l, key, "1")
	s.pass(t, l, key, -time.Hour)
	mustHold(t, l, key, "2")
	wantHeld(t, l, key, "1", "2")
	s.pass(t, l, key, LeaseLife)
	wantLeft(t, l, key, five, 5)
}

func testTakeOver(t *testing.T, _ subject, l limiter) {
	key := newKey()
	over := func(id string) Ask {
		ask := stream(key, id)
		ask.TakeOver = true
		return ask
	}
	mustHold(t, l, key, "2", "1", "3", "4")
	if v := take(t, l, over("5")); !v.Allowed || len(v.Ended) != 0 {
		t.Fatalf("while there is room: %+v, want nothing taken over", v)
	}
	v := take(t, l, over("6"))
	if !v.Allowed || !slices.Equal(idsOf(v.Ended), []string{"1"}) || v.Ended[0].Key != key || v.Ended[0].Gateway == "" {
		t.Fatalf("%+v, want 1 taken over", v)
	}
	if v.Decisions[0].Remaining != 0 {
		t.Errorf("%+v, want no place left", v)
	}
	wantHeld(t, l, key, "2", "3", "4", "5", "6")
	if over := renew(t, l, key, "1", "2", "3"); !slices.Equal(over, []string{"1"}) {
		t.Errorf("renewed: %v are over, want 1", over)
	}
	wantHeld(t, l, key, "2", "3", "4", "5", "6")
	if v := take(t, l, over("6")); !v.Allowed || len(v.Ended) != 0 {
		t.Errorf("a lease that is held already: %+v, want nothing taken over", v)
	}
}

func testTakeOverRefused(t *testing.T, _ subject, l limiter) {
	key := newKey()
	mustHold(t, l, key, "1", "2", "3", "4", "5")
	take(t, l, charge(key, other, 3))
	ask := stream(key, "6")
	ask.TakeOver = true
	ask.Charges = append(ask.Charges, Charge{other, 1})
	if v := take(t, l, ask); v.Allowed || !v.Decisions[0].Allowed || len(v.Ended) != 0 {
		t.Errorf("%+v, want a refusal by the second, and nothing taken over", v)
	}
	wantHeld(t, l, key, "1", "2", "3", "4", "5")
}

func testInTheWay(t *testing.T, _ subject, l limiter) {
	key := newKey()
	fifteen := policy.Policy{Name: policy.Streams, Quota: 15}
	var want []string
	for i := range 15 {
		ask := stream(key, strconv.Itoa(i+10))
		ask.Charges[0].Policy = fifteen
		ask.Lease.Info = []byte("about " + ask.Lease.ID)
		take(t, l, ask)
		want = append(want, ask.Lease.ID)
	}
	ask := stream(key, "30")
	ask.Charges[0].Policy = fifteen
	v := take(t, l, ask)
	if v.Allowed || v.Retry() <= 0 || !slices.Equal(idsOf(v.InTheWay), want[:mostInTheWay]) {
		t.Fatalf("%+v, want the oldest ten of %v in the way", v, want)
	}
	first := v.InTheWay[0]
	if first.Key != key || first.Gateway == "" || !first.Since.Equal(time.UnixMilli(1010)) || string(first.Info) != "about 10" {
		t.Errorf("in the way: %+v", first)
	}
	// A rate that refuses has no stream in its way.
	take(t, l, charge(key, other, 3))
	if v := take(t, l, charge(key, other, 1)); len(v.InTheWay) != 0 {
		t.Errorf("%+v, want no stream in the way", v)
	}
}

func testFilters(t *testing.T, s subject, l limiter) {
	key := newKey()
	two := policy.Policy{Name: policy.Filters, Quota: 2}
	ask := func(id, filter string, most int) Ask {
		a := stream(key, id)
		a.Charges = []Charge{{policy.Policy{Name: policy.Streams, Quota: most}, 1}, {two, 1}}
		a.Lease.Filter = filter
		return a
	}
	want := func(left int) {
		t.Helper()
		wantLeft(t, l, key, two, left)
	}
	for _, test := range []struct {
		id, filter string
		want       bool
		left       int
	}{
		{"1", "a", true, 1}, {"2", "a", true, 1}, {"3", "", true, 1}, {"4", "b", true, 0},
		{"5", "c", false, 0}, {"5", "b", true, 0}, {"6", "", true, 0},
	} {
		v := take(t, l, ask(test.id, test.filter, 9))
		if v.Allowed != test.want || v.Decisions[1].Remaining != test.left {
			t.Fatalf("lease %s with filter %q: %+v, want %t with %d left", test.id, test.filter, v, test.want, test.left)
		}
	}
	l.Release(t.Context(), Lease{Key: key, ID: "1"})
	want(0)
	l.Release(t.Context(), Lease{Key: key, ID: "2"})
	want(1)
	if v := take(t, l, ask("7", "c", 9)); !v.Allowed {
		t.Errorf("once a filter is unused: %+v", v)
	}

	// Held: 3 "", 4 b, 5 b, 6 "", 7 c. The oldest goes, and with it what it used.
	over := func(id, filter string) Verdict {
		a := ask(id, filter, 5)
		a.TakeOver = true
		return take(t, l, a)
	}
	if v := over("8", "d"); v.Allowed || v.Decisions[1].Allowed || len(v.Ended) != 0 {
		t.Errorf("in place of one without filter: %+v, want a refusal", v)
	}
	l.Release(t.Context(), Lease{Key: key, ID: "3"}, Lease{Key: key, ID: "5"})
	mustHold(t, l, key, "9", "10") // without filter
	if v := over("11", "d"); !v.Allowed || !slices.Equal(idsOf(v.Ended), []string{"4"}) {
		t.Errorf("in place of the only one with its filter: %+v", v)
	}
	want(0)

	// A renewal can bring another filter.
	if _, err := l.Renew(t.Context(), []Lease{{Key: key, ID: "7", Filter: "d"}}); err != nil {
		t.Fatal(err)
	}
	want(1)
	s.pass(t, l, key, LeaseLife)
	want(2)
}

func testLowered(t *testing.T, _ subject, l limiter) {
	key := newKey()
	mustHold(t, l, key, "1", "2", "3", "4")
	ask := stream(key, "5")
	ask.Charges[0].Policy.Quota = 2
	if v := take(t, l, ask); v.Allowed || v.Decisions[0].Remaining != 0 {
		t.Errorf("4 of 2: %+v, want a refusal with none left", v)
	}
	if over := renew(t, l, key, "1", "2", "3", "4"); len(over) != 0 {
		t.Errorf("4 of 2: %v are over", over)
	}
	ask.TakeOver = true
	if v := take(t, l, ask); !v.Allowed || !slices.Equal(idsOf(v.Ended), []string{"1"}) {
		t.Errorf("4 of 2: %+v, want one taken over", v)
	}
}

func testList(t *testing.T, _ subject, l limiter) {
	key := newKey()
	wantHeld(t, l, key)
	ask := stream(key, "2")
	ask.Lease.Filter, ask.Lease.Info = "a", []byte{0, 0xff, '"', '\n'}
	take(t, l, ask)
	mustHold(t, l, key, "3", "1")
	leases, err := l.List(t.Context(), key)
	if err != nil || !slices.Equal(idsOf(leases), []string{"1", "2", "3"}) {
		t.Fatalf("listed %v (%v), want 1, 2, 3", leases, err)
	}
	got := leases[1]
	if got.Key != key || got.Gateway == "" || !got.Since.Equal(ask.Lease.Since) || got.Filter != "a" || !slices.Equal(got.Info, ask.Lease.Info) {
		t.Errorf("listed %+v, want %+v", got, *ask.Lease)
	}
	got.Info = []byte("later")
	if _, err := l.Renew(t.Context(), []Lease{got}); err != nil {
		t.Fatal(err)
	}
	if leases, _ = l.List(t.Context(), key); string(leases[1].Info) != "later" {
		t.Errorf("listed %q after a renewal, want %q", leases[1].Info, "later")
	}
}

func testEnd(t *testing.T, s subject, l limiter) {
	key := newKey()
	mustHold(t, l, key, "1", "2", "3", "4", "5")
	got, err := l.End(t.Context(), key, "2")
	if err != nil || got.ID != "2" || got.Key != key || got.Gateway == "" {
		t.Errorf("ended %+v, %v", got, err)
	}
	for _, absent := range [][2]string{{key, "2"}, {key, "9"}, {newKey(), "1"}} {
		if got, err := l.End(t.Context(), absent[0], absent[1]); !errors.Is(err, ErrNoLease) {
			t.Errorf("end %v: %+v, %v; want ErrNoLease", absent, got, err)
		}
	}
	wantHeld(t, l, key, "1", "3", "4", "5")
	mustHold(t, l, key, "6")
	for range 2 { // as often as its gateway asks
		if over := renew(t, l, key, "1", "2", "3"); !slices.Equal(over, []string{"2"}) {
			t.Errorf("renewed: %v are over, want 2", over)
		}
	}
	s.pass(t, l, key, 20*time.Second)
	if over := renew(t, l, key, "2"); !slices.Equal(over, []string{"2"}) {
		t.Errorf("renewed later: %v are over, want 2", over)
	}
	wantHeld(t, l, key, "1", "3", "4", "5", "6")
}

func testRelease(t *testing.T, _ subject, l limiter) {
	a, b := newKey(), newKey()
	mustHold(t, l, a, "1", "2")
	mustHold(t, l, b, "1")
	l.Release(t.Context(), Lease{Key: a, ID: "1"}, Lease{Key: b, ID: "1"}, Lease{Key: newKey(), ID: "7"})
	renew(t, l, a, "1", "2") // as a renewal does that was under way
	wantHeld(t, l, a, "2")
	wantHeld(t, l, b)
	l.Release(t.Context())
}

func testRestored(t *testing.T, s subject, l limiter) {
	key := newKey()
	mustHold(t, l, key, "1", "2")
	s.erase(t, l, key)
	wantHeld(t, l, key)
	if over := renew(t, l, key, "1", "2", "3"); len(over) != 0 {
		t.Errorf("renewed: %v are over, want none", over)
	}
	wantHeld(t, l, key, "1", "2", "3")
	wantLeft(t, l, key, five, 2)
}

func testSurplus(t *testing.T, s subject, l limiter) {
	key := newKey()
	mustHold(t, l, key, "1", "2", "5")
	if _, err := l.End(t.Context(), key, "2"); err != nil {
		t.Fatal(err)
	}
	ended, surplus := renewSome(t, l, key, "1", "2", "3", "4", "5", "6", "7", "8")
	if !slices.Equal(ended, []string{"2"}) || !slices.Equal(surplus, []string{"8", "7"}) {
		t.Errorf("%v ended and %v are surplus, want 2, and 8 and 7", ended, surplus)
	}
	wantHeld(t, l, key, "1", "3", "4", "5", "6")
	if ended, surplus = renewSome(t, l, key, "1", "3", "4", "5", "6", "9"); len(ended) > 0 || !slices.Equal(surplus, []string{"9"}) {
		t.Errorf("a sixth: %v ended and %v are surplus, want 9", ended, surplus)
	}
	over := *stream(key, "10").Lease
	over.Key = key // without a limit
	if found, err := l.Renew(t.Context(), []Lease{over}); err != nil || len(found.Surplus) > 0 {
		t.Errorf("without a limit: %+v (%v), want no surplus", found, err)
	}
	renew(t, l, key, "1", "3", "4", "5", "6", "10") // all are known: as if the limit had been lowered
	wantHeld(t, l, key, "1", "3", "4", "5", "6", "10")
}
