package ratelimit

import (
	"strconv"
	"testing"
	"time"

	"github.com/paylogic/pushserver/ratelimit/policy"
)

func TestRefusalIsRememberedUntilSomethingComesBack(t *testing.T) {
	var r refusals
	at := time.Unix(1, 0)
	ask := Ask{Key: "key", Charges: []Charge{{slow, 5}, {other, 1}}}
	v := Verdict{Decisions: []Decision{
		{Policy: slow, Remaining: 2, Reset: 600 * time.Millisecond, Retry: 3 * time.Second},
		{Policy: other, Allowed: true, Remaining: 2, Reset: time.Second},
	}}
	r.note(ask, v, at)

	got, ok := r.find(ask, at.Add(400*time.Millisecond))
	if !ok || got.Allowed || got.Decisions[0].Reset != 200*time.Millisecond || got.Decisions[0].Retry != 2600*time.Millisecond ||
		got.Decisions[1].Reset != 600*time.Millisecond || got.Decisions[1].Retry != 0 {
		t.Errorf("after 400 ms: %+v, %t", got, ok)
	}
	if v.Decisions[0].Reset != 600*time.Millisecond {
		t.Error("what was remembered has changed")
	}
	for name, other := range map[string]Ask{
		"another key":    {Key: "another", Charges: ask.Charges},
		"less":           {Key: "key", Charges: []Charge{{slow, 2}, {other, 1}}},
		"another limit":  {Key: "key", Charges: []Charge{{policy.Policy{Name: policy.Requests, Quota: 6, Window: slow.Window}, 5}, {other, 1}}},
		"fewer":          {Key: "key", Charges: ask.Charges[:1]},
		"another moment": ask,
	} {
		now := at
		if name == "another moment" {
			now = at.Add(600 * time.Millisecond)
		}
		if v, ok := r.find(other, now); ok {
			t.Errorf("%s: refused as before, %+v", name, v)
		}
	}

	r.note(charge("key", slow, 1), Verdict{Allowed: true}, at)
	if v, ok := r.find(ask, at); ok {
		t.Errorf("after something was allowed: refused as before, %+v", v)
	}
}

func TestRefusalThatCanChangeIsNotRemembered(t *testing.T) {
	var r refusals
	at := time.Unix(1, 0)
	for name, d := range map[string]Decision{
		"a lease may be released": {Policy: five, Retry: busyRetry},
		"no waiting helps":        {Policy: slow, Never: true},
	} {
		ask := charge(name, d.Policy, 1)
		r.note(ask, Verdict{Decisions: []Decision{d}}, at)
		if _, ok := r.find(ask, at); ok {
			t.Errorf("remembered, though %s", name)
		}
	}
}

func TestRefusalsAreBounded(t *testing.T) {
	var r refusals
	at := time.Unix(1, 0)
	v := Verdict{Decisions: []Decision{{Policy: slow, Reset: time.Second, Retry: time.Second}}}
	for i := range 3 * mostRefusals {
		r.note(charge(strconv.Itoa(i), slow, 1), v, at.Add(time.Duration(i)*time.Millisecond))
		if len(r.all) > mostRefusals {
			t.Fatalf("%d are remembered, want at most %d", len(r.all), mostRefusals)
		}
	}
	last := charge(strconv.Itoa(3*mostRefusals-1), slow, 1)
	if _, ok := r.find(last, at.Add(3*mostRefusals*time.Millisecond)); !ok {
		t.Error("the newest was forgotten")
	}
}
