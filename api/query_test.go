package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/streams/sse"
)

func TestQueryIsReadWhole(t *testing.T) {
	got, err := parseQuery("types=a,b%2Bc&subject=x+y&since=", false, "types", "subject", "since")
	want := query{"types": "a,b+c", "subject": "x y", "since": ""}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if got, err := parseQuery("", false); err != nil || len(got) != 0 {
		t.Errorf("empty: got %v, %v", got, err)
	}
}

func TestNoPartOfAQueryGetsLost(t *testing.T) {
	tests := []struct{ in, name string }{
		{"types=a;subject=b", "malformed-query"}, // url.ParseQuery drops both
		{"types=%zz", "malformed-query"},         // and this one
		{"types=%", "malformed-query"},
		{"%zz=a", "malformed-query"},
		{"types=a&types=b", "malformed-query"},
		{"types=a&type%73=b", "malformed-query"},
		{"types", "malformed-query"},
		{"types=a&", "malformed-query"},
		{"types=a&&subject=b", "malformed-query"},
		{"types=%ff", "malformed-query"},
		{"types=%0a", "malformed-query"},
		{"types=%c2%85", "malformed-query"},
		{"types=%00", "malformed-query"},
		{"tpyes=a", "unknown-parameter"},
		{"Types=a", "unknown-parameter"},
		{"=a", "unknown-parameter"},
	}
	for _, tt := range tests {
		_, err := parseQuery(tt.in, false, "types", "subject")
		p := wantProblem(t, tt.in, err, tt.name, 400)
		if tt.name == "unknown-parameter" && !strings.Contains(p.Detail, "types, subject") {
			t.Errorf("%q: %q does not name the known parameters", tt.in, p.Detail)
		}
	}
}

func TestCredentialInAURLIsRefusedAndNotRepeated(t *testing.T) {
	for _, in := range []string{
		"access_token=S3cret", "api_key=S3cret", "authorization=S3cret", "key=S3cret", "token=S3cret", "apikey=S3cret",
		"Access-Token=S3cret", "types=%zz&token=S3cret", "types=a;token=S3cret", "token", "t%6fken=S3cret",
		"ps_live_S3cret=", "ps_live_S3cret",
	} {
		_, err := parseQuery(in, false, "types")
		p := wantProblem(t, in, err, "credential-in-url", 400)
		if strings.Contains(p.Error(), "S3cret") {
			t.Errorf("%q: repeated in %q", in, p.Error())
		}
		_, err = parseQuery(in, true, "types")
		wantProblem(t, in, err, "ambiguous-credentials", 400)
	}
}

func TestSinceIsAnAgeOrATime(t *testing.T) {
	now := time.Date(2025, 11, 22, 21, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{
		"0s":                        now,
		"90s":                       now.Add(-90 * time.Second),
		"10m":                       now.Add(-10 * time.Minute),
		"24h":                       now.Add(-24 * time.Hour),
		"7d":                        now.Add(-7 * 24 * time.Hour),
		"1h30m":                     now.Add(-90 * time.Minute),
		"2025-11-22T21:00:00Z":      now,
		"2025-11-22T21:00:00+01:00": now.Add(-time.Hour),
		"0001-01-01T00:00:00Z":      time.Unix(0, 0), // the zero time would mean none
		"0000-01-01T00:00:00Z":      time.Unix(0, 0),
		"1969-12-31T23:59:59Z":      time.Unix(0, 0),
		"36500d":                    time.Unix(0, 0),
	} {
		if got, err := parseSince(in, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: got %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "-10m", "+10m", "10", "m", "10x", "1.5h", "30m1h", "999999999d", "99999999999999999999s",
		"2025-11-22T21:00:01Z", "2025-11-22", "2025-11-22T21:00:00 01:00", "10000-01-01T00:00:00Z",
	} {
		_, err := parseSince(in, now)
		p := wantProblem(t, in, err, "malformed-query", 400)
		if got := places(p, "parameter"); !slices.Equal(got, []string{"since"}) {
			t.Errorf("%q: errors name %v", in, got)
		}
	}
}

func TestStreamSinceTheFirstYearBeginsWithTheOldestEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	r.publish(t, "a", "first", "1")
	v := r.watch(t, r.a, "?since=0001-01-01T00:00:00Z")
	r.publish(t, "a", "second", "2")
	if events := v.until(t, "second"); !slices.ContainsFunc(events, func(e sse.Event) bool { return e.Type == "first" }) {
		t.Errorf("the stream begins with %v", events)
	}
}

func TestListIsSplitAtItsCommas(t *testing.T) {
	if got := parseList(""); got != nil {
		t.Errorf("empty: got %q", got)
	}
	if got := parseList("a, b,"); !slices.Equal(got, []string{"a", " b", ""}) {
		t.Errorf("got %q", got)
	}
}

// Whatever a query is, it is read whole or refused: what was read says the same
// when it is written again, and a credential never passes.
func FuzzParseQuery(f *testing.F) {
	for _, seed := range []string{
		"", "types=a", "types=a&subject=b%2Fc", "types=a;subject=b", "types=%zz", "types", "types=a&types=b", "tpyes=a",
		"filter=data.a%20%3E%3D%201%20%26%26%20true", "access_token=x", "ACCESS%5FTOKEN=x", "a;token=x", "filter=+", "=", "&", "types=%00", "types=\xff",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	known := []string{"since", "types", "subject", "filter", "envelope"}
	f.Fuzz(func(t *testing.T, raw string, authorized bool) {
		q, err := parseQuery(raw, authorized, known...)
		if err != nil {
			var p *Problem
			if !errors.As(err, &p) {
				t.Fatalf("%q is refused with %v, which is no problem", raw, err)
			}
			return
		}
		values, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatalf("%q was read, and net/url refuses it: %v", raw, err)
		}
		if len(values) != len(q) {
			t.Fatalf("%q was read as %q, by net/url as %q", raw, q, values)
		}
		for name, value := range q {
			if !slices.Contains(known, name) || len(values[name]) != 1 || values[name][0] != value {
				t.Fatalf("%q was read as %q, by net/url as %q", raw, q, values)
			}
		}
	})
}
