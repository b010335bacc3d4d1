package ratelimit

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylogic/pushserver/ratelimit/policy"
)

// A limiter is what every implementation is: both halves.
type limiter interface {
	Limiter
	Leases
}

// A subject is an implementation, and what time and accidents do to it.
type subject struct {
	open  func(*testing.T) limiter
	pass  func(t fataler, l limiter, key string, d time.Duration) // back, if d is negative
	erase func(t fataler, l limiter, key string)                  // what is stored is lost
}

// A fataler is a test, or one run of a property.
type fataler interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

var memorySubject = subject{
	open: func(*testing.T) limiter { return NewMemoryLimiter("memory") },
	pass: func(_ fataler, l limiter, _ string, d time.Duration) {
		m := l.(*MemoryLimiter)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.start = m.start.Add(-max(0, d)) // a monotonic clock is never set back
	},
	erase: func(_ fataler, l limiter, key string) {
		m := l.(*MemoryLimiter)
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.keys, key)
	},
}

// TestLimiter runs the suite that every implementation passes.
func TestLimiter(t *testing.T) {
	for name, s := range map[string]subject{
		"memory":     memorySubject,
		"cluster":    clusterSubject,
		"standalone": standaloneSubject,
	} {
		t.Run(name, s.test)
	}
}

func (s subject) test(t *testing.T) {
	l := s.open(t)
	for name, behaviour := range map[string]func(*testing.T, subject, limiter){
		"a full quota passes at once, and no more":             testBurst,
		"what was used comes back evenly":                      testRefill,
		"each of a batch counts":                               testBatch,
		"more than the quota never passes":                     testNever,
		"if one limit refuses, none is charged":                testAllOrNothing,
		"zero asks what is left":                               testPeek,
		"keys and policies do not share":                       testApart,
		"a clock set back neither refills nor locks out":       testClockSetBack,
		"concurrent takes pass exactly the quota":              testConcurrentTakes,
		"of too many connects at once exactly the limit stand": testConcurrentLeases,
		"a lease that is not renewed is over":                  testLeaseExpires,
		"a clock set back does not prolong a lease":            testLeaseClockSetBack,
		"the oldest lease is taken over if that is asked for":  testTakeOver,
		"nothing is taken over if another limit refuses":       testTakeOverRefused,
		"a refusal names those in the way":                     testInTheWay,
		"leases of one filter count it once":                   testFilters,
		"a lowered limit leaves what stands":                   testLowered,
		"leases are listed with what renewals say":             testList,
		"an ended lease frees its place and is told":           testEnd,
		"a released lease does not come back":                  testRelease,
		"a renewal restores what was lost":                     testRestored,
		"a renewal ends the newest beyond the limit":           testSurplus,
		"rates agree with a count":                             testRateModel,
		"leases agree with a list":                             testLeaseModel,
	} {
		t.Run(name, func(t *testing.T) { behaviour(t, s, l) })
	}
}

var keyNames atomic.Int64

// newKey returns a key that no test has used.
func newKey() string { return "key_" + strconv.FormatInt(keyNames.Add(1), 10) }

// The suite's limits are slow, so that what a busy machine takes to run it gives
// nothing back.
var (
	slow  = policy.Policy{Name: policy.Requests, Quota: 5, Window: 5 * time.Hour}
	other = policy.Policy{Name: policy.Connects, Quota: 3, Window: 3 * time.Hour}
	five  = policy.Policy{Name: policy.Streams, Quota: 5}
)

const interval = time.Hour // between two of those

// take puts one ask and returns the verdict, whose shape it checks.
func take(t fataler, l Limiter, ask Ask) Verdict {
	t.Helper()
	v := l.Take(context.Background(), ask)
	if len(v.Decisions) != len(ask.Charges) {
		t.Fatalf("%d decisions on %d charges", len(v.Decisions), len(ask.Charges))
	}
	all := true
	for i, d := range v.Decisions {
		all = all && d.Allowed
		if d.Policy != ask.Charges[i].Policy {
			t.Fatalf("a decision on %v, want one on %v", d.Policy, ask.Charges[i].Policy)
		}
		if d.Allowed && d.Retry != 0 || !d.Allowed && !d.Never && d.Retry <= 0 {
			t.Fatalf("a decision %+v", d)
		}
	}
	if v.Allowed != all {
		t.Fatalf("a verdict %+v", v)
	}
	return v
}

// charge asks for n of a policy.
func charge(key string, p policy.Policy, n int) Ask {
	return Ask{Key: key, Charges: []Charge{{p, n}}}
}

// wantLeft fails unless so many of a policy are left.
func wantLeft(t fataler, l Limiter, key string, p policy.Policy, want int) {
	t.Helper()
	v := take(t, l, charge(key, p, 0))
	if got := v.Decisions[0].Remaining; !v.Allowed || got != want {
		t.Fatalf("%d of %s are left, want %d", got, p, want)
	}
}

func testBurst(t *testing.T, _ subject, l limiter) {
	key := newKey()
	for left := 4; left >= 0; left-- {
		v := take(t, l, charge(key, slow, 1))
		d := v.Decisions[0]
		if !v.Allowed || d.Remaining != left || d.Reset <= 0 || d.Reset > interval {
			t.Errorf("%+v, want %d left, and more within %v", v, left, interval)
		}
	}
	v := take(t, l, charge(key, slow, 1))
	if d := v.Decisions[0]; v.Allowed || d.Remaining != 0 || d.Retry > interval || d.Retry < interval-time.Minute || v.Retry() != d.Retry {
		t.Errorf("after the whole quota: %+v, want a refusal for nearly %v", v, interval)
	}
}

func testRefill(t *testing.T, s subject, l limiter) {
	key := newKey()
	take(t, l, charge(key, slow, 5))
	for _, passes := range []struct {
		time time.Duration
		want int
	}{{interval / 2, 0}, {interval / 2, 1}, {2 * interval, 3}, {10 * interval, 5}} {
		s.pass(t, l, key, passes.time)
		wantLeft(t, l, key, slow, passes.want)
	}
	take(t, l, charge(key, slow, 5))
	s.pass(t, l, key, interval)
	if v := take(t, l, charge(key, slow, 1)); !v.Allowed {
		t.Errorf("after an interval: %+v, want one to pass", v)
	}
	if v := take(t, l, charge(key, slow, 1)); v.Allowed {
		t.Errorf("after an interval: %+v, want only one to pass", v)
	}
}

func testBatch(t *testing.T, s subject, l limiter) {
	key := newKey()
	for _, test := range []struct {
		n    int
		want bool
		left int
	}{{3, true, 2}, {3, false, 2}, {2, true, 0}, {1, false, 0}} {
		v := take(t, l, charge(key, slow, test.n))
		if v.Allowed != test.want || v.Decisions[0].Remaining != test.left {
			t.Errorf("a batch of %d: %+v, want %t with %d left", test.n, v, test.want, test.left)
		}
	}
	v := take(t, l, charge(key, slow, 3))
	if d := v.Decisions[0]; d.Retry <= 2*interval || d.Retry > 3*interval {
		t.Errorf("a batch of 3: %+v, want it to wait for three intervals", d)
	}
	s.pass(t, l, key, 3*interval)
	if v := take(t, l, charge(key, slow, 3)); !v.Allowed {
		t.Errorf("a batch of 3, three intervals later: %+v", v)
	}
}

func testNever(t *testing.T, _ subject, l limiter) {
	key := newKey()
	v := take(t, l, charge(key, slow, 6))
	if d := v.Decisions[0]; v.Allowed || !d.Never || d.Remaining != 5 || v.Retry() != 0 {
		t.Errorf("6 of %s: %+v, want never, and none charged", slow, v)
	}
	if v := take(t, l, charge(key, policy.Policy{Name: "none", Window: time.Second}, 1)); v.Allowed || !v.Decisions[0].Never {
		t.Errorf("one of a quota of none: %+v", v)
	}
	wantLeft(t, l, key, slow, 5)
}

func testAllOrNothing(t *testing.T, _ subject, l limiter) {
	key := newKey()
	ask := Ask{Key: key, Charges: []Charge{{slow, 1}, {other, 1}}}
	for range 3 {
		if v := take(t, l, ask); !v.Allowed {
			t.Fatalf("%+v", v)
		}
	}
	for range 3 {
		v := take(t, l, ask)
		if v.Allowed || !v.Decisions[0].Allowed || v.Decisions[1].Allowed || v.Decisions[0].Remaining != 2 {
			t.Errorf("%+v, want the second to refuse and 2 left of the first", v)
		}
	}
	wantLeft(t, l, key, slow, 2)
}

func testPeek(t *testing.T, _ subject, l limiter) {
	key := newKey()
	for range 10 {
		v := take(t, l, Ask{Key: key, Charges: []Charge{{slow, 0}, {other, -1}, {five, 1}}})
		if !v.Allowed || v.Decisions[0].Remaining != 5 || v.Decisions[1].Remaining != 3 || v.Decisions[2].Remaining != 5 {
			t.Fatalf("%+v, want all of it left", v)
		}
		if v.Decisions[0].Reset != 0 {
			t.Fatalf("%+v: there is no more than all", v)
		}
	}
	take(t, l, charge(key, slow, 5))
	if v := take(t, l, charge(key, slow, 0)); !v.Allowed || v.Decisions[0].Remaining != 0 {
		t.Errorf("of an empty bucket: %+v, want none left", v)
	}
	if v := take(t, l, Ask{Key: key}); !v.Allowed {
		t.Errorf("no charge: %+v", v)
	}
}

func testApart(t *testing.T, _ subject, l limiter) {
	a, b := newKey(), newKey()
	take(t, l, charge(a, slow, 5))
	wantLeft(t, l, b, slow, 5)
	wantLeft(t, l, a, other, 3)
	take(t, l, Ask{Key: a, Charges: []Charge{{five, 1}}, Lease: &Lease{ID: "con_1"}})
	wantLeft(t, l, a, five, 4)
	wantLeft(t, l, b, five, 5)
}

func testClockSetBack(t *testing.T, s subject, l limiter) {
	key := newKey()
	take(t, l, charge(key, slow, 5))
	s.pass(t, l, key, -1000*interval)
	for range 3 {
		if v := take(t, l, charge(key, slow, 1)); v.Allowed || v.Decisions[0].Retry > interval {
			t.Fatalf("after the clock went back: %+v, want a refusal for at most %v", v, interval)
		}
	}
	s.pass(t, l, key, interval)
	wantLeft(t, l, key, slow, 1)
	if v := take(t, l, charge(key, slow, 1)); !v.Allowed {
		t.Errorf("an interval after the clock went back: %+v", v)
	}
}

func testConcurrentTakes(t *testing.T, _ subject, l limiter) {
	key := newKey()
	hundred := policy.Policy{Name: policy.Publishes, Quota: 100, Window: 100 * time.Hour}
	var passed atomic.Int64
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() {
			for range 10 {
				if l.Take(t.Context(), charge(key, hundred, 1)).Allowed {
					passed.Add(1)
				}
			}
		})
	}
	callers.Wait()
	if got := passed.Load(); got != 100 {
		t.Errorf("%d of 200 passed, want 100", got)
	}
}
