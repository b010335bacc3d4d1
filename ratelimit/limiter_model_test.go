package ratelimit

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/paylogic/pushserver/ratelimit/policy"
)

// testRateModel takes at random and compares what passes with a count of what is
// left.
func testRateModel(t *testing.T, s subject, l limiter) {
	rapid.Check(t, func(t *rapid.T) {
		key := newKey()
		policies := []policy.Policy{slow, other}
		left := []int{slow.Quota, other.Quota}
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				ask := Ask{Key: key}
				want := true
				for i, p := range policies {
					n := rapid.IntRange(0, p.Quota+1).Draw(t, p.Name)
					ask.Charges = append(ask.Charges, Charge{p, n})
					want = want && n <= left[i]
				}
				v := take(t, l, ask)
				if v.Allowed != want {
					t.Fatalf("%+v with %v left: %+v", ask, left, v)
				}
				for i, d := range v.Decisions {
					if want {
						left[i] -= ask.Charges[i].N
					}
					if d.Remaining != left[i] {
						t.Fatalf("%+v: %+v, want %v left", ask, v, left)
					}
				}
			},
			"pass": func(t *rapid.T) {
				n := rapid.IntRange(1, 4).Draw(t, "intervals")
				s.pass(t, l, key, time.Duration(n)*interval)
				for i, p := range policies {
					left[i] = min(p.Quota, left[i]+n)
				}
			},
		})
	})
}

// testLeaseModel does at random what gateways and merchants do and compares what
// is held with a list.
func testLeaseModel(t *testing.T, s subject, l limiter) {
	type held struct {
		id, filter string
		until      int // s
	}
	streams, filters := policy.Policy{Name: policy.Streams, Quota: 4}, policy.Policy{Name: policy.Filters, Quota: 2}
	rapid.Check(t, func(t *rapid.T) {
		key := newKey()
		var model []held // oldest first
		now, last := 0, 0
		distinct := func(leases []held) int {
			seen := map[string]bool{}
			for _, h := range leases {
				if h.filter != "" {
					seen[h.filter] = true
				}
			}
			return len(seen)
		}
		t.Repeat(map[string]func(*rapid.T){
			"acquire": func(t *rapid.T) {
				last++
				h := held{strconv.Itoa(last), rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "filter"), now + 30}
				ask := stream(key, h.id)
				ask.Lease.Filter = h.filter
				ask.Charges = []Charge{{streams, 1}, {filters, 1}}
				ask.TakeOver = rapid.Bool().Draw(t, "take over")

				then := append(slices.Clone(model), h)
				if len(then) > streams.Quota && ask.TakeOver {
					then = then[1:]
				}
				want := len(then) <= streams.Quota && distinct(then) <= max(filters.Quota, distinct(model))
				v := take(t, l, ask)
				if v.Allowed != want {
					t.Fatalf("%v and %+v: %+v, want %t", model, h, v, want)
				}
				if want {
					model = then
				}
				if got := v.Decisions[0].Remaining; got != max(0, streams.Quota-len(model)) {
					t.Fatalf("%v: %d places are left", model, got)
				}
				if got := v.Decisions[1].Remaining; got != max(0, filters.Quota-distinct(model)) {
					t.Fatalf("%v: %d filters are left", model, got)
				}
			},
			"release": func(t *rapid.T) {
				if len(model) == 0 {
					return // nothing is held
				}
				i := rapid.IntRange(0, len(model)-1).Draw(t, "which")
				l.Release(t.Context(), Lease{Key: key, ID: model[i].id})
				model = slices.Delete(model, i, i+1)
			},
			"renew": func(t *rapid.T) {
				var renewed []Lease
				for i := range model {
					if rapid.Bool().Draw(t, "renewed") {
						model[i].until = now + 30
						lease := *stream(key, model[i].id).Lease
						lease.Key, lease.Filter, lease.Limit = key, model[i].filter, streams.Quota
						renewed = append(renewed, lease)
					}
				}
				if found, err := l.Renew(t.Context(), renewed); err != nil || len(found.Ended)+len(found.Surplus) > 0 {
					t.Fatalf("renew %v: %+v, %v", renewed, found, err)
				}
			},
			"pass": func(t *rapid.T) {
				s.pass(t, l, key, 10*time.Second)
				now += 10
				model = slices.DeleteFunc(model, func(h held) bool { return h.until <= now })
			},
			"": func(t *rapid.T) {
				want := make([]string, len(model))
				for i, h := range model {
					want[i] = h.id
				}
				wantHeld(t, l, key, want...)
			},
		})
	})
}
