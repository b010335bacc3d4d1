package policy

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"pgregory.net/rapid"
)

const day = 24 * time.Hour

func TestLimitsAreReadAsWritten(t *testing.T) {
	tests := []struct {
		text string
		want Limits
	}{
		{"", nil},
		{"  ", nil},
		{"streams=50", Limits{{Streams, 50, 0}}},
		{"streams=50,connects=60/m,publishes=100/s", Limits{{Streams, 50, 0}, {Connects, 60, time.Minute}, {Publishes, 100, time.Second}}},
		{"publishes=100/s, streams=50", Limits{{Streams, 50, 0}, {Publishes, 100, time.Second}}},
		{" filters=1 , tokens=1/m", Limits{{Filters, 1, 0}, {Tokens, 1, time.Minute}}},
		{"connects=60/s,replay=5000/h,tokens=7/d", Limits{{Connects, 60, time.Second}, {Replay, 5000, time.Hour}, {Tokens, 7, day}}},
		{"deliveries=1000000/s,replay=10000000/m,requests=600000/m", Limits{{Requests, 600_000, time.Minute}, {Deliveries, 1_000_000, time.Second}, {Replay, 10_000_000, time.Minute}}},
		{"connects=1000000/h,requests=50000/d", Limits{{Connects, 1_000_000, time.Hour}, {Requests, 50_000, day}}},
	}
	for _, test := range tests {
		got, err := Parse(test.text)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%q: got %v (%v), want %v", test.text, got, err, test.want)
		}
	}
}

func TestInvalidLimitsAreRejectedByName(t *testing.T) {
	tests := []struct{ text, field string }{
		{"streams=0", "limits.streams"},
		{"streams=-1", "limits.streams"},
		{"streams=", "limits.streams"},
		{"streams", "limits.streams"},
		{"streams=ten", "limits.streams"},
		{"streams=1.5", "limits.streams"},
		{"streams=1e3", "limits.streams"},
		{"streams=+5", "limits.streams"},
		{"streams=05", "limits.streams"},
		{"streams=٥", "limits.streams"},
		{"streams=NaN", "limits.streams"},
		{"streams=1000001", "limits.streams"},
		{"streams=99999999999999999999", "limits.streams"},
		{"streams=5/m", "limits.streams"},
		{"filters=5/s", "limits.filters"},
		{"streams = 5", "limits"}, // the name has a space
		{"connects=60", "limits.connects"},
		{"connects=0/m", "limits.connects"},
		{"connects=60/", "limits.connects"},
		{"connects=60/w", "limits.connects"},
		{"connects=/m", "limits.connects"},
		{"connects=6000001/m", "limits.connects"},
		{"connects=1000001/h", "limits.connects"},
		{"connects=50001/d", "limits.connects"},
		{"connects=60/m/m", "limits.connects"},
		{"streams=5,connects=x", "limits.connects"},
		{"streams=5,streams=6", "limits.streams"},
		{"streams=5,connects=1/m,streams=5", "limits.streams"},
		{"stream=5", "limits"},
		{"STREAMS=5", "limits"},
		{"streams=5,", "limits"},
		{",streams=5", "limits"},
		{"=5", "limits"},
		{"str\x1b[2Jeams=5", "limits"},
		{strings.Repeat("a", 33) + "=5", "limits"},
	}
	for _, test := range tests {
		got, err := Parse(test.text)
		var invalid *Error
		if !errors.As(err, &invalid) || invalid.Field() != test.field || !strings.HasPrefix(invalid.Reason, "must be ") {
			t.Errorf("%q: got %v, %v; want an error of %q", test.text, got, err, test.field)
		}
	}
}

func TestErrorsSayWhatToWrite(t *testing.T) {
	const known = "limits must be among streams, connects, requests, publishes, deliveries, replay, filters, tokens, each with = and a quota"
	for text, want := range map[string]string{
		"connects=0/m":         "connects must be a whole number from 1 to 6000000/m, such as 60/m",
		"connects=90000/d":     "connects must be a whole number from 1 to 50000/d, such as 60/m",
		"connects=60":          "connects must be a whole number and a window of s, m, h or d, such as 60/m",
		"streams=0":            "streams must be a whole number from 1 to 1000000, such as 50",
		"streams=5/m":          "streams must be a whole number without a window, such as 50",
		"speed=1":              known + `; "speed" is unknown`,
		"ps_live_Ab1c2D3=1":    known, // a secret is not repeated
		"streams=1,sp\x1b[2J=": known,
	} {
		if _, err := Parse(text); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func FuzzLimits(f *testing.F) {
	f.Add("streams=50,connects=60/m,publishes=100/s")
	f.Add("replay=5000/h,tokens=7/d")
	f.Add(Defaults().String())
	f.Add("streams=-1,,=/m")
	f.Fuzz(func(t *testing.T, text string) {
		limits, err := Parse(text)
		if err != nil {
			var invalid *Error
			if !errors.As(err, &invalid) || len(invalid.Name) > 32 || len(err.Error()) > 250 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := Parse(limits.String())
		if err != nil || !slices.Equal(again, limits) {
			t.Fatalf("%q is %v, which reads as %v (%v)", text, limits, again, err)
		}
		for _, p := range limits {
			if p.Quota < 1 || p.Quota > policies[position(p.Name)].most || p.Concurrent() != Defaults().Of(p.Name).Concurrent() {
				t.Fatalf("%q is %v", text, limits)
			}
		}
	})
}

// anyLimits draws limits that are valid.
func anyLimits(t *rapid.T) (l Limits) {
	for _, p := range rapid.SliceOfNDistinct(rapid.SampledFrom(Defaults()), 0, 8, func(p Policy) string { return p.Name }).Draw(t, "limits") {
		if !p.Concurrent() {
			p.Window = rapid.SampledFrom(units[:]).Draw(t, "unit").window
		}
		_, most, _ := unit(p.Window)
		p.Quota = rapid.IntRange(1, min(most, policies[position(p.Name)].most)).Draw(t, "quota")
		l = l.With(p)
	}
	return l
}

func TestLimitsReadBackAsTheyAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyLimits(t)
		if got, err := Parse(want.String()); err != nil || !slices.Equal(got, want) {
			t.Fatalf("%q: got %v (%v), want %v", want, got, err, want)
		}
		text, err := json.Marshal(want)
		var got Limits
		if err == nil {
			err = json.Unmarshal(text, &got)
		}
		if err != nil || !slices.Equal(got, want) || got.Check() != nil {
			t.Fatalf("%s: got %v (%v, %v), want %v", text, got, err, got.Check(), want)
		}
	})
}

// Stored keys have this form.
func TestLimitsAreAnObjectInJSON(t *testing.T) {
	l := Limits{{Streams, 50, 0}, {Connects, 60, time.Minute}, {Replay, 5000, time.Hour}}
	const want = `{"connects":"60/m","replay":"5000/h","streams":"50"}`
	if got, err := json.Marshal(l); err != nil || string(got) != want {
		t.Errorf("got %s (%v), want %s", got, err, want)
	}
	var newer Limits
	err := json.Unmarshal([]byte(`{"colours":"7","streams":"50"}`), &newer)
	if err != nil || newer.Of(Streams).Quota != 50 || newer.Of("colours").Quota != 7 || newer.Check() == nil {
		t.Errorf("limits of a newer server read as %v (%v, check %v)", newer, err, newer.Check())
	}
	if err := json.Unmarshal([]byte(`{"streams":"many"}`), &newer); err == nil {
		t.Errorf("a quota that is no number reads as %v", newer)
	}
}

func TestDefaultsAreWithinWhatAKeyMayHave(t *testing.T) {
	l := Defaults()
	parsed, err := Parse(l.String())
	if err != nil || !slices.Equal(parsed, l) {
		t.Errorf("%s reads as %v (%v)", l, parsed, err)
	}
	for i, p := range policies {
		if position(p.Name) != i {
			t.Errorf("%s is there twice", p.Name)
		}
		for _, u := range units {
			if product := float64(min(p.most, u.most)) * float64(u.window.Microseconds()); product > 1<<52 {
				t.Errorf("%s: the largest quota times %v is %.0f, which Lua cannot count", p.Name, u.window, product)
			}
		}
	}
}

func TestLimitsAreChangedByName(t *testing.T) {
	changed, err := Parse("connects=5/m,filters=7")
	if err != nil {
		t.Fatal(err)
	}
	l := Defaults().With(changed...)
	if l.Of(Connects).Quota != 5 || l.Of(Filters).Quota != 7 || l.Of(Streams) != Defaults().Of(Streams) {
		t.Errorf("got %s", l)
	}
	if !slices.Equal(l.With(Policy{Name: "speed", Quota: 1}), l) {
		t.Error("a policy of no known name changed something")
	}
	if got := changed.Without(Connects).String(); got != "filters=7" || changed.String() != "connects=5/m,filters=7" {
		t.Errorf("without connects they are %s, and %s was changed", got, changed)
	}
}

func TestALocalLimiterKeepsThePolicy(t *testing.T) {
	l := Policy{Deliveries, 100, time.Second}.Local()
	if l.Limit() != 100 || l.Burst() != 100 {
		t.Errorf("got %v a second and bursts of %d, want 100 and 100", l.Limit(), l.Burst())
	}
	if l := (Policy{Replay, 600, time.Minute}).Local(); l.Limit() != 10 || l.Burst() != 600 {
		t.Errorf("got %v a second and bursts of %d, want 10 and 600", l.Limit(), l.Burst())
	}
	if l := (Policy{Streams, 5, 0}).Local(); l.Limit() != rate.Inf {
		t.Errorf("a concurrent policy has no rate, got %v", l.Limit())
	}
}

// Check accepts what Parse returns, and nothing else.
func TestPoliciesAreCheckedAsTheyAreRead(t *testing.T) {
	for _, l := range []Limits{Defaults(), Largest()} {
		if err := l.Check(); err != nil {
			t.Errorf("%v: %v", l, err)
		}
	}
	for _, p := range []Policy{
		{Streams, 0, 0}, {Streams, -1, 0}, {Streams, 1_000_001, 0}, {Streams, 5, time.Minute},
		{Connects, 60, 90 * time.Second}, {Connects, 60, 0}, {Connects, 6_000_001, time.Minute},
	} {
		var invalid *Error
		if err := p.Check(); !errors.As(err, &invalid) || invalid.Name != p.Name {
			t.Errorf("%+v: %v, want it rejected by its name", p, err)
		}
	}
	if (Policy{"stream", 5, 0}).Check() == nil || (Limits{{Streams, 5, 0}, {Streams, 5, 0}}).Check() == nil {
		t.Error("an unknown policy, or one given twice, is valid")
	}
}
