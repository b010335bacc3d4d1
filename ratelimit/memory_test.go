package ratelimit

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoryForgetsIdleKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemoryLimiter("memory")
		minute := Policy{Connects, 60, time.Minute}
		for i := range 20 * tidyMin {
			key := strconv.Itoa(i)
			if v := take(t, m, charge(key, minute, 1)); !v.Allowed {
				t.Fatalf("%+v", v)
			}
			time.Sleep(10 * time.Millisecond) // one is full again in a second, after 100 others
			if got := len(m.accounts); got > tidyMin {
				t.Fatalf("%d keys are remembered, want at most %d", got, tidyMin)
			}
		}
		busy := charge("busy", minute, 60)
		take(t, m, busy)
		mustHold(t, m, "held", "1")
		for i := range 2 * tidyMin {
			take(t, m, charge("another "+strconv.Itoa(i), minute, 0))
		}
		if v := take(t, m, busy); v.Allowed {
			t.Errorf("a key that is not idle was forgotten: %+v", v)
		}
		wantHeld(t, m, "held", "1")
	})
}

func TestMemoryTakesAShareOfABatch(t *testing.T) {
	m := NewMemoryLimiter("memory")
	for _, test := range []struct {
		n           int
		want, never bool
	}{
		{6, false, true},  // more than everybody's quota
		{4, true, false},  // more than the share, which it empties
		{4, false, false}, // until it is full again
		{1, false, false},
	} {
		v := m.take(charge("key", slow, test.n), 2)
		if v.Allowed != test.want || v.Decisions[0].Never != test.never {
			t.Errorf("a batch of %d: %+v, want %t", test.n, v, test.want)
		}
	}
}
