package filter

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// naive is what a glob means, without a thought for time.
func naive(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	if pattern[0] != '*' {
		return s != "" && pattern[0] == s[0] && naive(pattern[1:], s[1:])
	}
	rest := strings.TrimLeft(pattern, "*")
	across := len(pattern)-len(rest) > 1
	for i := 0; ; i++ {
		if naive(rest, s[i:]) {
			return true
		}
		if i == len(s) || s[i] == '/' && !across {
			return false
		}
	}
}

func drawGlob() *rapid.Generator[string] {
	return rapid.StringMatching(`([ab/]|\*|\*\*){1,7}`)
}

func drawSubject() *rapid.Generator[string] {
	return rapid.StringMatching(`[ab/]{0,9}`)
}

func TestGlobStandsForSubjects(t *testing.T) {
	tests := []struct {
		pattern, subject string
		want             bool
	}{
		{"event/42", "event/42", true},
		{"event/42", "event/421", false},
		{"event/42/*", "event/42/type", true},
		{"event/42/*", "event/42/", true},
		{"event/42/*", "event/42", false},
		{"event/42/*", "event/42/type/7", false},
		{"event/42/**", "event/42/type/7", true},
		{"event/42/**", "event/42", false},
		{"event/*/type/*", "event/42/type/7", true},
		{"event/*/type/*", "event/42/43/type/7", false},
		{"event/**/type/*", "event/42/43/type/7", true},
		{"event/4*", "event/42", true},
		{"*/42", "event/42", true},
		{"**/7", "event/42/type/7", true},
		{"*", "event", true},
		{"*", "event/42", false},
		{"*", "", true},
		{"**", "", true},
		{"**", "event/42", true},
		{"***", "event/42", true},
		{"**a*b/c", "ab/xab/c", true},
		{"größe/*", "größe/ä", true},
		{"event/?", "event/4", false},
		{"event/[0-9]", "event/4", false},
		{`event/\*`, `event/\4`, true}, // nothing escapes a star
		{"event/*", "event/" + strings.Repeat("x", 1000), true},
		{"*/*x", "event/" + strings.Repeat("x", 1000), true},
	}
	for _, tt := range tests {
		if naive(tt.pattern, tt.subject) != tt.want {
			t.Errorf("the reference says %v of %q on %q", !tt.want, tt.pattern, tt.subject)
		}
		f := mustCompile(t, Clause{Subjects: []string{tt.pattern}})
		if got := f.Match(&Event{Subject: tt.subject}); got != tt.want {
			t.Errorf("Match of %q on %q = %v, want %v", tt.pattern, tt.subject, got, tt.want)
		}
	}
}

func TestGlobAgreesWithReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern, subject := drawGlob().Draw(t, "pattern"), drawSubject().Draw(t, "subject")
		g, err := parseGlob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := g.match(subject), naive(pattern, subject); got != want {
			t.Fatalf("%q on %q = %v, want %v", pattern, subject, got, want)
		}
	})
}

func FuzzGlob(f *testing.F) {
	for _, seed := range []struct{ pattern, subject string }{
		{"event/42/*", "event/42/type"}, {"event/**/7", "event/42/type/7"}, {"**a*b/c", "ab/xab/c"},
		{"*a*a*a*a*a*a*b", strings.Repeat("a", 100)}, {"**/*/**", "a/b/c"}, {"***", ""}, {"../B/*", "../B/x"},
		{"*/", "/"}, {"**a**", "bab"}, {"é*", "éé"},
	} {
		f.Add(seed.pattern, seed.subject)
	}
	f.Fuzz(func(t *testing.T, pattern, subject string) {
		g, err := parseGlob(pattern)
		if err != nil || strings.Count(pattern, "*") > 6 || len(subject) > 300 { // beyond, the reference takes for ever
			return
		}
		if got, want := g.match(subject), naive(pattern, subject); got != want {
			t.Errorf("%q on %q = %v, want %v", pattern, subject, got, want)
		}
	})
}

func TestSubjectListsWithOneKeyMatchTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(drawGlob(), 1, 3)
		lists := rapid.SliceOfN(list, 1, 3).Draw(t, "clauses")
		subject := drawSubject().Draw(t, "subject")

		want := true // by the reference, clause by clause
		var clauses []Clause
		for _, l := range lists {
			want = want && slices.ContainsFunc(l, func(p string) bool { return naive(p, subject) })
			clauses = append(clauses, Clause{Subjects: l})
		}
		f, err := Compile(clauses...)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Match(&Event{Subject: subject}); got != want {
			t.Fatalf("%q on %q = %v, want %v (key %q)", lists, subject, got, want, f.Key())
		}
		other := rapid.Permutation(clauses).Draw(t, "order")
		for i := range other {
			other[i].Subjects = append(rapid.Permutation(other[i].Subjects).Draw(t, "globs"), other[i].Subjects[0])
		}
		g, err := Compile(other...)
		if err != nil {
			t.Fatal(err)
		}
		if f.Key() != g.Key() {
			t.Fatalf("key %q of %q changes with the order to %q", f.Key(), lists, g.Key())
		}
	})
}

func TestInvalidSubjectIsRefused(t *testing.T) {
	for _, list := range [][]string{
		{""}, {"ok", ""}, {"a\r\nb"}, {"a\x00"}, {"a\u2028"}, {"a\xff"},
		{strings.Repeat("a", MaxPattern+1)},
		{strings.Repeat("*/", MaxWildcards+1)},
		{"**", strings.Repeat("*/", MaxWildcards+1)}, // not hidden by what covers it
		slices.Repeat([]string{strings.Repeat("*/", MaxWildcards)}, MaxAllWildcards/MaxWildcards+1),
		slices.Repeat([]string{"a"}, MaxSubjects+1),
	} {
		var e *Error
		if err := compileError(Clause{Subjects: list}); !errors.As(err, &e) || e.Part != PartSubject || e.Reason == "" {
			t.Errorf("Compile of %.60q = %v, want an *Error about subject", list, err)
		}
	}
	if err := compileError(Clause{Subjects: []string{strings.Repeat("*/", MaxWildcards)}}); err != nil {
		t.Errorf("%d wildcards: %v", MaxWildcards, err)
	}
}
