package ratelimit

import (
	"testing"
	"time"

	"github.com/dunglas/httpsfv"
	"pgregory.net/rapid"

	"github.com/paylogic/pushserver/ratelimit/policy"
)

func TestHeaderIsThatOfTheDraft(t *testing.T) {
	tests := []struct {
		decisions     []Decision
		policy, limit string
	}{
		{nil, "", ""},
		{
			[]Decision{
				{Policy: policy.Policy{Name: policy.Streams, Quota: 50}, Allowed: true, Remaining: 12},
				{Policy: policy.Policy{Name: policy.Connects, Quota: 60, Window: time.Minute}, Allowed: true, Remaining: 59, Reset: time.Second},
			},
			`"streams";q=50;qu="concurrent-requests", "connects";q=60;w=60`,
			`"streams";r=12, "connects";r=59;t=1`,
		},
		{ // times are rounded up: never too early
			[]Decision{{Policy: policy.Policy{Name: policy.Publishes, Quota: 100, Window: time.Second}, Reset: time.Microsecond}},
			`"publishes";q=100;w=1`, `"publishes";r=0;t=1`,
		},
		{
			[]Decision{{Policy: policy.Policy{Name: policy.Connects, Quota: 60, Window: time.Minute}, Reset: time.Second + 1}},
			`"connects";q=60;w=60`, `"connects";r=0;t=2`,
		},
		{ // a name that no policy of ours has
			[]Decision{{Policy: policy.Policy{Name: "a\"\\é\r\n", Quota: 1, Window: time.Second}}},
			`"a\"\\????";q=1;w=1`, `"a\"\\????";r=0`,
		},
	}
	for _, test := range tests {
		policy, limit := Header(test.decisions)
		if policy != test.policy || limit != test.limit {
			t.Errorf("%+v:\ngot  %s\n     %s\nwant %s\n     %s", test.decisions, policy, limit, test.policy, test.limit)
		}
	}
}

// Whatever is decided, both fields are lists of strings with whole parameters,
// as another reader of RFC 9651 reads them, and say the same names.
func TestHeaderParses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		decisions := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Decision {
			return Decision{
				Policy: policy.Policy{
					Name:   rapid.OneOf(rapid.SampledFrom([]string{policy.Streams, policy.Connects, policy.Tokens}), rapid.StringMatching(`[ -~]{0,9}`)).Draw(t, "name"),
					Quota:  rapid.IntRange(0, 10_000_000).Draw(t, "quota"),
					Window: rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute}).Draw(t, "window"),
				},
				Remaining: rapid.IntRange(0, 10_000_000).Draw(t, "remaining"),
				Reset:     time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "reset")),
			}
		}), 1, 8).Draw(t, "decisions")
		policy, limit := Header(decisions)
		policies, limits := parseList(t, policy), parseList(t, limit)
		if len(policies) != len(decisions) || len(limits) != len(decisions) {
			t.Fatalf("%s has %d members, %s has %d, want %d", policy, len(policies), limit, len(limits), len(decisions))
		}
		for i := range policies {
			name, ok := policies[i].Value.(string)
			if !ok || limits[i].Value != name {
				t.Fatalf("member %d of %s and of %s", i, policy, limit)
			}
			q, _ := policies[i].Params.Get("q")
			r, _ := limits[i].Params.Get("r")
			if r != int64(decisions[i].Remaining) {
				t.Fatalf("%s: %s has %d left", limit, name, decisions[i].Remaining)
			}
			if _, ok := q.(int64); !ok {
				t.Fatalf("%s: a quota of %v", policy, q)
			}
			w, hasWindow := policies[i].Params.Get("w")
			qu, hasUnit := policies[i].Params.Get("qu")
			if hasWindow == hasUnit || hasWindow && w.(int64) < 1 || hasUnit && qu != "concurrent-requests" {
				t.Fatalf("%s: a window of %v, a unit of %v", policy, w, qu)
			}
			if at, ok := limits[i].Params.Get("t"); ok && at.(int64) < 1 {
				t.Fatalf("%s: a time of %v", limit, at)
			}
		}
	})
}

func parseList(t *rapid.T, field string) []httpsfv.Item {
	list, err := httpsfv.UnmarshalList([]string{field})
	if err != nil {
		t.Fatalf("%s: %v", field, err)
	}
	items := make([]httpsfv.Item, len(list))
	for i, member := range list {
		item, ok := member.(httpsfv.Item)
		if !ok {
			t.Fatalf("%s: a member of type %T", field, member)
		}
		items[i] = item
	}
	return items
}
