package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

func TestLimitsAreReadAsWritten(t *testing.T) {
	tests := []struct {
		text string
		want []Policy
	}{
		{"", nil},
		{"  ", nil},
		{"streams=50", []Policy{{Streams, 50, 0}}},
		{"streams=50,connects=60/m,publishes=100/s", []Policy{{Streams, 50, 0}, {Connects, 60, time.Minute}, {Publishes, 100, time.Second}}},
		{" filters=1 , tokens=1/m", []Policy{{Filters, 1, 0}, {Tokens, 1, time.Minute}}},
		{"deliveries=1000000/s,replay=10000000/m,requests=600000/m", []Policy{{Deliveries, 1_000_000, time.Second}, {Replay, 10_000_000, time.Minute}, {Requests, 600_000, time.Minute}}},
	}
	for _, test := range tests {
		got, err := Parse(test.text)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%q: got %v (%v), want %v", test.text, got, err, test.want)
		}
	}
}

func TestLimitsThatCannotStandAreRefusedByName(t *testing.T) {
	tests := []struct{ text, field string }{
		{"streams=0", "streams"},
		{"streams=-1", "streams"},
		{"streams=", "streams"},
		{"streams", "streams"},
		{"streams=ten", "streams"},
		{"streams=1.5", "streams"},
		{"streams=1e3", "streams"},
		{"streams=+5", "streams"},
		{"streams=05", "streams"},
		{"streams=٥", "streams"},
		{"streams=NaN", "streams"},
		{"streams=1000001", "streams"},
		{"streams=99999999999999999999", "streams"},
		{"streams=5/m", "streams"},
		{"streams = 5", "limits"}, // the name has a space
		{"connects=60", "connects"},
		{"connects=0/m", "connects"},
		{"connects=60/s", "connects"},
		{"connects=60/", "connects"},
		{"connects=/m", "connects"},
		{"connects=6000001/m", "connects"},
		{"connects=60/m/m", "connects"},
		{"streams=5,connects=x", "connects"},
		{"streams=5,streams=6", "streams"},
		{"streams=5,connects=1/m,streams=5", "streams"},
		{"stream=5", "stream"},
		{"STREAMS=5", "limits"},
		{"streams=5,", "limits"},
		{",streams=5", "limits"},
		{"=5", "limits"},
		{"str\x1b[2Jeams=5", "limits"},
		{strings.Repeat("a", 33) + "=5", "limits"},
	}
	for _, test := range tests {
		got, err := Parse(test.text)
		var refused *FieldError
		if !errors.As(err, &refused) || refused.Field != test.field || !strings.HasPrefix(refused.Reason, "must be ") {
			t.Errorf("%q: got %v, %v; want an error of %q", test.text, got, err, test.field)
		}
	}
}

func TestLimitsSayWhatToWrite(t *testing.T) {
	for text, want := range map[string]string{
		"connects=0/m": "ratelimit: connects must be a whole number from 1 to 6000000/m, such as connects=60/m",
		"streams=0":    "ratelimit: streams must be a whole number from 1 to 1000000, such as streams=50",
		"speed=1":      "ratelimit: speed must be one of streams, connects, requests, publishes, deliveries, replay, filters, tokens, then = and a number",
	} {
		if _, err := Parse(text); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func FuzzLimits(f *testing.F) {
	f.Add("streams=50,connects=60/m,publishes=100/s")
	f.Add(Defaults().String())
	f.Add("streams=-1,,=/m")
	f.Fuzz(func(t *testing.T, text string) {
		policies, err := Parse(text)
		if err != nil {
			var refused *FieldError
			if !errors.As(err, &refused) || len(refused.Field) > 32 || len(err.Error()) > 250 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := Parse(Format(policies))
		if err != nil || !slices.Equal(again, policies) {
			t.Fatalf("%q is %v, which reads as %v (%v)", text, policies, again, err)
		}
		for _, p := range policies {
			most := policiesMost(p.Name)
			if p.Quota < 1 || p.Quota > most || p.Window != Defaults().Of(p.Name).Window {
				t.Fatalf("%q is %v", text, policies)
			}
		}
	})
}

func policiesMost(name string) int { return policies[position(name)].most }

func TestDefaultsAreWithinWhatAKeyMayHave(t *testing.T) {
	l := Defaults()
	parsed, err := Parse(l.String())
	if err != nil || !slices.Equal(parsed, l[:]) {
		t.Errorf("%s reads as %v (%v)", l, parsed, err)
	}
	for i, p := range policies {
		if position(p.Name) != i {
			t.Errorf("%s is there twice", p.Name)
		}
		if product := float64(p.most) * float64(p.Window.Microseconds()); product > 1<<52 {
			t.Errorf("%s: the largest quota times the window is %.0f, which Lua cannot count", p.Name, product)
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
	if l.With(Policy{Name: "speed", Quota: 1}) != l {
		t.Error("a policy of no known name changed something")
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
		t.Errorf("what is concurrent has no rate, got %v", l.Limit())
	}
}

// Check takes what Parse returns, and nothing else.
func TestPoliciesAreCheckedAsTheyAreRead(t *testing.T) {
	for _, l := range []Limits{Defaults(), Largest()} {
		for _, p := range l {
			if err := p.Check(); err != nil {
				t.Errorf("%v: %v", p, err)
			}
		}
	}
	for _, p := range []Policy{
		{Streams, 0, 0}, {Streams, -1, 0}, {Streams, 1_000_001, 0}, {Streams, 5, time.Minute},
		{Connects, 60, time.Hour}, {Connects, 60, 0}, {Connects, 6_000_001, time.Minute}, {"stream", 5, 0},
	} {
		var field *FieldError
		if err := p.Check(); !errors.As(err, &field) || field.Field != p.Name {
			t.Errorf("%+v: %v, want it refused by its name", p, err)
		}
	}
}
