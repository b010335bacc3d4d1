package filter

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of patterns.
const (
	MaxPattern      = 256 // bytes of a type or subject pattern
	MaxTypes        = 32  // type patterns in a clause
	MaxSubjects     = 32  // subject globs in a clause
	MaxWildcards    = 16  // wildcards in a glob
	MaxAllWildcards = 64  // wildcards in all globs of a clause
)

// A typePattern is a type, or a prefix of types.
type typePattern struct {
	text   string // without the star
	prefix bool
}

func (p typePattern) String() string {
	if p.prefix {
		return p.text + "*"
	}
	return p.text
}

func (p typePattern) match(typ string) bool {
	if p.prefix {
		return strings.HasPrefix(typ, p.text)
	}
	return typ == p.text
}

// covers reports whether p matches every type that q matches.
func (p typePattern) covers(q typePattern) bool {
	return p == q || p.prefix && strings.HasPrefix(q.text, p.text)
}

func (p typePattern) compare(q typePattern) int {
	return strings.Compare(p.String(), q.String())
}

// ValidType returns an [*Error] unless pattern is valid in the types of a [Clause].
func ValidType(pattern string) error {
	if err := checkText(PartTypes, pattern); err != nil {
		return err
	}
	if i := strings.IndexByte(pattern, '*'); i >= 0 && i < len(pattern)-1 {
		return refuse(PartTypes, "%s: a star may appear only at the end of a type", quote(pattern))
	}
	return nil
}

// MatchType reports whether typ matches any of the patterns. An empty list matches
// all types.
func MatchType(patterns []string, typ string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		return newTypePattern(p).match(typ)
	})
}

// Overlap reports whether some type matches both lists. An empty list matches all
// types.
func Overlap(a, b []string) bool {
	if len(a) == 0 || len(b) == 0 {
		return true
	}
	for _, s := range a {
		for _, t := range b {
			p, q := newTypePattern(s), newTypePattern(t)
			if p.covers(q) || q.covers(p) {
				return true
			}
		}
	}
	return false
}

func newTypePattern(s string) typePattern {
	text, prefix := strings.CutSuffix(s, "*")
	return typePattern{text, prefix}
}

// parseTypes returns the canonical form of a list; nil means all types.
func parseTypes(list []string) ([]typePattern, error) {
	if len(list) > MaxTypes {
		return nil, refuse(PartTypes, "at most %d types may be named; use patterns such as \"payment.*\"", MaxTypes)
	}
	var patterns []typePattern
	for _, s := range list {
		if err := ValidType(s); err != nil {
			return nil, err
		}
		patterns = append(patterns, newTypePattern(s))
	}
	if slices.Contains(patterns, typePattern{prefix: true}) {
		return nil, nil
	}
	return reduceTypes(patterns), nil
}

// reduceTypes sorts patterns and drops those that others cover. Two lists that match
// the same types then are equal: each pattern that is left matches a type that the
// others do not.
func reduceTypes(patterns []typePattern) []typePattern {
	slices.SortFunc(patterns, typePattern.compare)
	return withoutCovered(patterns, typePattern.covers)
}

// intersect returns the patterns of the types that both lists match. An empty list
// matches no type, nil matches all.
func intersect(a, b []typePattern) []typePattern {
	if a == nil {
		return b
	}
	both := []typePattern{}
	for _, p := range a {
		for _, q := range b {
			switch {
			case p.covers(q):
				both = append(both, q)
			case q.covers(p):
				both = append(both, p)
			}
		}
	}
	if len(both) == 0 {
		return both
	}
	return reduceTypes(both)
}

func anyType(patterns []typePattern, typ string) bool {
	for i := range patterns {
		if patterns[i].match(typ) {
			return true
		}
	}
	return false
}

func checkText(part, s string) error {
	switch {
	case s == "":
		return refuse(part, "a pattern is empty; leave the parameter out to match everything")
	case len(s) > MaxPattern:
		return refuse(part, "%s: a pattern may have at most %d bytes", quote(s), MaxPattern)
	case !utf8.ValidString(s):
		return refuse(part, "%s: a pattern must be valid UTF-8", quote(s))
	}
	if !Printable(s) {
		return refuse(part, "%s: a pattern may hold printable characters only", quote(s))
	}
	return nil
}

// Printable reports whether a text has no character that ends a line, is invisible,
// or changes the direction of its surroundings. The rule holds for the names of
// events, and so for patterns.
func Printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		if ' ' <= r && r <= '~' { // nearly always
			return false
		}
		return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
	})
}
