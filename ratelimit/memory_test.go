package ratelimit

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paylogic/pushserver/ratelimit/policy"
)

func TestMemoryForgetsIdleKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemoryLimiter("memory")
		minute := policy.Policy{Name: policy.Connects, Quota: 60, Window: time.Minute}
		for i := range 20 * tidyMin {
			key := strconv.Itoa(i)
			if v := take(t, m, charge(key, minute, 1)); !v.Allowed {
				t.Fatalf("%+v", v)
			}
			time.Sleep(10 * time.Millisecond) // one is full again in a second, after 100 others
			if got := len(m.keys); got > tidyMin {
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

func TestSharesOfALimit(t *testing.T) {
	for _, test := range []struct{ quota, gateways, want int }{
		{50, 0, 50}, {50, 1, 50}, {50, 2, 25}, {50, 3, 16}, {5, 10, 1}, {1, 2, 1}, {0, 2, 0},
	} {
		if got := share(policy.Policy{Quota: test.quota}, test.gateways).Quota; got != test.want {
			t.Errorf("%d by %d gateways: got %d, want %d", test.quota, test.gateways, got, test.want)
		}
	}
}

func TestAPolicyOfNoKnownNameAllowsNothing(t *testing.T) {
	if v := NewMemoryLimiter("").Take(t.Context(), charge("key", policy.Defaults().Of("speed"), 1)); v.Allowed {
		t.Errorf("a policy of no known name allows: %+v", v)
	}
}
