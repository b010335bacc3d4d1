package filter

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawType draws from few letters, so that patterns and types meet often.
func drawType() *rapid.Generator[string] {
	return rapid.StringMatching(`[ab](\.[ab]){0,2}`)
}

func drawTypePattern() *rapid.Generator[string] {
	return rapid.OneOf(drawType(), rapid.StringMatching(`([ab]\.){0,2}[ab]?\*`))
}

func TestTypePatternStandsForItselfOrForAPrefix(t *testing.T) {
	tests := []struct {
		patterns []string
		typ      string
		want     bool
	}{
		{nil, "payment.failed", true},
		{[]string{"*"}, "payment.failed", true},
		{[]string{"payment.failed"}, "payment.failed", true},
		{[]string{"payment.failed"}, "payment.failed.late", false},
		{[]string{"payment.failed"}, "Payment.failed", false},
		{[]string{"payment.*"}, "payment.failed", true},
		{[]string{"payment.*"}, "payment.card.failed", true},
		{[]string{"payment.*"}, "payment", false},
		{[]string{"payment.*"}, "payments.failed", false},
		{[]string{"pay*"}, "payment.failed", true},
		{[]string{"seat.status", "payment.*"}, "payment.failed", true},
		{[]string{"seat.status", "ticket.*"}, "payment.failed", false},
		{[]string{"*"}, "", true},
		{[]string{"a.b"}, "a*b", false},
	}
	for _, tt := range tests {
		if got := MatchType(tt.patterns, tt.typ); got != tt.want {
			t.Errorf("MatchType(%q, %q) = %v, want %v", tt.patterns, tt.typ, got, tt.want)
		}
		f := mustCompile(t, Clause{Types: tt.patterns})
		if got := f.Match(&Event{Type: tt.typ}); got != tt.want {
			t.Errorf("Match of types %q on %q = %v, want %v", tt.patterns, tt.typ, got, tt.want)
		}
	}
}

func TestOverlapIsWhetherATypeCanMatchBoth(t *testing.T) {
	tests := []struct {
		a, b []string
		want bool
	}{
		{nil, nil, true},
		{nil, []string{"payment.*"}, true},
		{[]string{"*"}, []string{"payment.*"}, true},
		{[]string{"payment.*"}, []string{"payment.failed"}, true},
		{[]string{"payment.*"}, []string{"payment.card.*"}, true},
		{[]string{"payment.*"}, []string{"ticket.*"}, false},
		{[]string{"payment.*"}, []string{"payment"}, false},
		{[]string{"payment.failed"}, []string{"payment.failed.late"}, false},
		{[]string{"seat.status", "ticket.*"}, []string{"payment.*", "ticket.availability"}, true},
	}
	for _, tt := range tests {
		if got := Overlap(tt.a, tt.b); got != tt.want {
			t.Errorf("Overlap(%q, %q) = %v, want %v", tt.a, tt.b, got, tt.want)
		}
		if got := Overlap(tt.b, tt.a); got != tt.want {
			t.Errorf("Overlap(%q, %q) = %v, want %v", tt.b, tt.a, got, tt.want)
		}
	}
}

func TestOverlapAgreesWithMatching(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(drawTypePattern(), 1, 3)
		a, b := list.Draw(t, "a"), list.Draw(t, "b")
		typ := drawType().Draw(t, "type")
		if MatchType(a, typ) && MatchType(b, typ) && !Overlap(a, b) {
			t.Fatalf("%q matches %q and %q, which do not overlap", typ, a, b)
		}
		f, err := Compile(Clause{Types: a}, Clause{Types: b})
		if err != nil {
			t.Fatal(err)
		}
		if f.never == Overlap(a, b) {
			t.Fatalf("Overlap(%q, %q) = %v, but their filter says the opposite", a, b, !f.never)
		}
	})
}

func TestTypeListsHaveOneKeyExactlyIfTheyMatchTheSame(t *testing.T) {
	var every []string // of the types that drawType draws, and beyond
	for _, a := range []string{"a", "b", "c"} {
		every = append(every, a)
		for _, b := range []string{".a", ".b", ".c", ".", "x"} {
			every = append(every, a+b)
			for _, c := range []string{".a", ".b", ".c", ".", "x"} {
				every = append(every, a+b+c, a+b+c+"x")
			}
		}
	}
	matched := func(f *Filter) []string {
		return slices.DeleteFunc(slices.Clone(every), func(typ string) bool { return !f.Match(&Event{Type: typ}) })
	}
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(drawTypePattern(), 1, 3)
		draw := func(label string) *Filter {
			f, err := Compile(Clause{Types: list.Draw(t, label)}, Clause{Types: list.Draw(t, label)})
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		f, g := draw("f"), draw("g")
		same := slices.Equal(matched(f), matched(g))
		if (f.Key() == g.Key()) != same {
			t.Fatalf("keys %q and %q, but same matches: %v", f.Key(), g.Key(), same)
		}
	})
}

func TestInvalidTypeIsRefused(t *testing.T) {
	for _, pattern := range []string{
		"", "a*b", "*.failed", "a.**", "payment.*.late", "a\nb", "a\x00", "a\u0085", "a\u202eb", "a\u200b", "\ufeff", "a\xff",
		strings.Repeat("a", MaxPattern+1),
	} {
		for what, err := range map[string]error{
			"ValidType": ValidType(pattern),
			"Compile":   compileError(Clause{Types: []string{"ok", pattern}}),
		} {
			var e *Error
			if !errors.As(err, &e) || e.Part != PartTypes || e.Reason == "" {
				t.Errorf("%s(%q) = %v, want an *Error about types", what, pattern, err)
			}
		}
	}
	for _, pattern := range []string{"*", "a", "payment.*", "pay*", "größe.ändert", "a b", strings.Repeat("a", MaxPattern)} {
		if err := ValidType(pattern); err != nil {
			t.Errorf("ValidType(%q) = %v, want nil", pattern, err)
		}
	}
	if err := compileError(Clause{Types: slices.Repeat([]string{"a"}, MaxTypes+1)}); err == nil {
		t.Errorf("%d types are accepted", MaxTypes+1)
	}
}

func compileError(clauses ...Clause) error {
	_, err := Compile(clauses...)
	return err
}
