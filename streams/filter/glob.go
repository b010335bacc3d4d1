package filter

import (
	"slices"
	"strings"
)

// The wildcards, as tokens of a glob.
const (
	star     = "*"  // any text within a segment
	starStar = "**" // any text
)

// A glob is a pattern for subjects, split into wildcards and the literal texts
// between them.
type glob struct {
	text   string   // canonical: a run of stars longer than two is written as two
	tokens []string // none is empty, and no two neighbours are literal
}

func parseGlob(s string) (glob, error) {
	if err := checkText(PartSubject, s); err != nil {
		return glob{}, err
	}
	var tokens []string
	for rest := s; rest != ""; {
		n := strings.IndexByte(rest, '*')
		if n < 0 {
			n = len(rest)
		}
		if n > 0 {
			tokens = append(tokens, rest[:n])
			rest = rest[n:]
			continue
		}
		tail := strings.TrimLeft(rest, star)
		if len(rest)-len(tail) == 1 {
			tokens = append(tokens, star)
		} else {
			tokens = append(tokens, starStar)
		}
		rest = tail
	}
	g := glob{strings.Join(tokens, ""), tokens}
	if g.wildcards() > MaxWildcards {
		return glob{}, refuse(PartSubject, "%s: a pattern may have at most %d wildcards", quote(s), MaxWildcards)
	}
	return g, nil
}

// isLiteral reports whether the glob matches one subject only.
func (g glob) isLiteral() bool {
	return len(g.tokens) == 1 && !isWildcard(g.tokens[0])
}

func (g glob) wildcards() int {
	n := 0
	for _, token := range g.tokens {
		if isWildcard(token) {
			n++
		}
	}
	return n
}

func isWildcard(token string) bool {
	return token[0] == '*'
}

// match decides at once if the glob is a literal text, or one before a wildcard, as
// most are. It leaves the others to [glob.walk].
func (g *glob) match(s string) bool {
	first := g.tokens[0]
	if !isWildcard(first) {
		if !strings.HasPrefix(s, first) {
			return false
		}
		switch {
		case len(g.tokens) == 1:
			return len(s) == len(first)
		case len(g.tokens) == 2 && g.tokens[1] == starStar:
			return true
		case len(g.tokens) == 2:
			return strings.IndexByte(s[len(first):], '/') < 0
		}
	}
	if last := g.tokens[len(g.tokens)-1]; !isWildcard(last) && !strings.HasSuffix(s, last) {
		return false
	}
	return g.walk(s)
}

// walk keeps the set of places in s that the tokens so far can reach. It tries
// nothing twice, so the worst case is the number of tokens times the length of s,
// at about 2 ns per pair.
func (g *glob) walk(s string) bool {
	var room [MaxPattern + 1]bool
	reach := room[:]
	if len(s) >= len(reach) {
		reach = make([]bool, len(s)+1)
	}
	reach = reach[:len(s)+1]
	reach[0] = true
	lo, hi := 0, 0 // the first and the last place in reach

	for _, token := range g.tokens {
		switch token {
		case starStar:
			hi = len(s)
			for i := lo; i <= hi; i++ {
				reach[i] = true
			}
		case star:
			for i := lo; i < len(s); i++ {
				if reach[i] && s[i] != '/' {
					reach[i+1] = true
					hi = max(hi, i+1)
				}
			}
		default:
			lo, hi = advance(reach, s, token, lo, hi)
			if lo > hi {
				return false
			}
		}
	}
	return reach[len(s)]
}

// advance moves each place in reach, all between lo and hi, past the literal, and
// drops the places where the literal does not begin. It returns the new bounds; if
// no place is left, the first is above the second.
func advance(reach []bool, s, literal string, lo, hi int) (int, int) {
	first, last := len(s)+1, -1
	n := len(literal)
	for i := hi; i >= lo; i-- { // from the end: a place moves behind the next ones
		if !reach[i] {
			continue
		}
		reach[i] = false
		if i+n <= len(s) && s[i] == literal[0] && s[i+1:i+n] == literal[1:] {
			first = i + n
			last = max(last, first)
			reach[first] = true
		}
	}
	return first, last
}

// covers reports whether g matches every subject that h matches. It decides the
// usual cases, and reports false in the others.
func (g *glob) covers(h *glob) bool {
	switch {
	case g.text == h.text:
		return true
	case h.isLiteral():
		return g.match(h.text)
	case g.tokens[len(g.tokens)-1] != starStar:
		return false
	case len(g.tokens) == 1:
		return true
	}
	return len(g.tokens) == 2 && strings.HasPrefix(h.text, g.tokens[0])
}

// parseSubjects returns the canonical form of a list; nil means all subjects.
func parseSubjects(list []string) ([]glob, error) {
	if len(list) > MaxSubjects {
		return nil, refuse(PartSubject, "at most %d subjects may be named; use patterns such as \"event/42/*\"", MaxSubjects)
	}
	var globs []glob
	all := len(list) == 0
	wildcards := 0
	for _, s := range list {
		g, err := parseGlob(s)
		if err != nil {
			return nil, err
		}
		globs = append(globs, g)
		all = all || g.text == starStar
		wildcards += g.wildcards()
	}
	if wildcards > MaxAllWildcards {
		return nil, refuse(PartSubject, "the patterns may have at most %d wildcards in all; these have %d", MaxAllWildcards, wildcards)
	}
	if all {
		return nil, nil
	}
	slices.SortFunc(globs, func(g, h glob) int { return strings.Compare(g.text, h.text) })
	return withoutCovered(globs, func(g, h glob) bool { return g.covers(&h) }), nil
}

// conjoin returns lists that together match the same subjects, without literals
// that another list excludes and without lists that another one makes superfluous.
// An empty list matches no subject.
func conjoin(lists [][]glob) [][]glob {
	for i := range lists {
		lists[i] = slices.DeleteFunc(slices.Clone(lists[i]), func(g glob) bool {
			return g.isLiteral() && slices.ContainsFunc(lists, func(l []glob) bool { return !anyGlob(l, g.text) })
		})
	}
	slices.SortFunc(lists, func(a, b []glob) int {
		return slices.CompareFunc(a, b, func(g, h glob) int { return strings.Compare(g.text, h.text) })
	})
	return withoutCovered(lists, func(narrow, wide []glob) bool { return allCovered(wide, narrow) })
}

// withoutCovered drops items that another item covers. It drops one at a time and
// compares with the rest, so that of two that cover each other one stays.
func withoutCovered[E any](all []E, covers func(e, other E) bool) []E {
	for i := 0; i < len(all); {
		others := slices.Delete(slices.Clone(all), i, i+1)
		if slices.ContainsFunc(others, func(e E) bool { return covers(e, all[i]) }) {
			all = others
		} else {
			i++
		}
	}
	return all
}

// allCovered reports whether a glob of wide covers each glob of narrow.
func allCovered(wide, narrow []glob) bool {
	for i := range narrow {
		if !slices.ContainsFunc(wide, func(g glob) bool { return g.covers(&narrow[i]) }) {
			return false
		}
	}
	return true
}

func anyGlob(globs []glob, subject string) bool {
	for i := range globs {
		if globs[i].match(subject) {
			return true
		}
	}
	return false
}
