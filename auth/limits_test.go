package auth

import (
	"errors"
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// anyLimits draws limits that stand.
func anyLimits(t *rapid.T) Limits {
	limits := Limits{}
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(limitable), 0, 4, func(l limit) string { return l.name }).Draw(t, "limits") {
		quota := Quota{N: rapid.IntRange(1, MaxQuota).Draw(t, "n")}
		if name.windowed {
			quota.Window = rapid.SampledFrom(windows).Draw(t, "window").width
		}
		limits[name.name] = quota
	}
	return limits
}

func TestLimitsReadBackAsTheyAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyLimits(t)
		got, err := ParseLimits(want.String())
		if err != nil || !maps.Equal(got, want) {
			t.Fatalf("%q: got %v (%v), want %v", want, got, err, want)
		}
	})
}

func TestLimitsOfTheDocumentation(t *testing.T) {
	got, err := ParseLimits("streams=50,connects=60/m,publishes=100/s,replay=5000/h,tokens=7/d")
	want := Limits{
		"streams": {N: 50}, "connects": {60, time.Minute}, "publishes": {100, time.Second},
		"replay": {5000, time.Hour}, "tokens": {7, 24 * time.Hour},
	}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v (%v), want %v", got, err, want)
	}
	if text := "connects=60/m,publishes=100/s,replay=5000/h,streams=50,tokens=7/d"; got.String() != text {
		t.Errorf("written as %q, want %q", got, text)
	}
}

func TestLimitThatCannotStandNamesItsField(t *testing.T) {
	tests := []struct{ text, field string }{
		{"streams=0", "limits.streams"},
		{"streams=-1", "limits.streams"},
		{"streams=+1", "limits.streams"},
		{"streams=01", "limits.streams"},
		{"streams=5e1", "limits.streams"},
		{"streams=many", "limits.streams"},
		{"streams=", "limits.streams"},
		{"streams", "limits.streams"},
		{"streams=10000001", "limits.streams"},
		{"streams=99999999999999999999", "limits.streams"},
		{"streams=50/m", "limits.streams"}, // at a time: there is no window
		{"filters=5/s", "limits.filters"},
		{"connects=60", "limits.connects"},
		{"connects=0/m", "limits.connects"},
		{"connects=60/", "limits.connects"},
		{"connects=60/w", "limits.connects"},
		{"connects=60/m/m", "limits.connects"},
		{"streams=1,streams=2", "limits.streams"},
		{"streams=1,", "limits"},
		{"colours=5", "limits"},
		{"Streams=5", "limits"},
		{"=5", "limits"},
	}
	for _, test := range tests {
		limits, err := ParseLimits(test.text)
		var refused *FieldError
		if !errors.As(err, &refused) || refused.Field != test.field {
			t.Errorf("%q: got %v (%v), want a refusal of %s", test.text, limits, err, test.field)
		}
	}
	odd := Limits{"connects": {N: 1, Window: 90 * time.Second}}
	if err := odd.check(); err == nil {
		t.Error("a window that cannot be written down passes")
	}
}
