// Package filter decides which events somebody sees.
//
// A filter is compiled once, from what a key may see and from what its holder
// asked for, and is then applied to every event, live or replayed, by
// [Filter.Match]. It can only narrow: each clause takes events away and none
// gives any back. Filters with equal keys match the same events, so readers
// whose filters share a [Filter.Key] can share one feed.
//
// # What a clause can say
//
//   - types: what happened. "payment.failed", "payment.*", "*": a star stands at
//     the end, alone or after a prefix.
//   - subjects: the thing it happened to. "event/42/*" with "*" for any text
//     within a segment, the empty text included, and "**" for any text at all.
//     Everything else stands for itself: "../B" is a text like any other.
//   - an expression in the Common Expression Language over the event.
//
// # Expressions
//
// The variables are id, source, type, subject and merchant (strings), time (a
// timestamp) and data (the JSON value). There are the operators
// && || ! ?: == != < <= > >= in + - * / % and [], list literals, has(), and the
// functions contains, startsWith, endsWith, matches, size, int, double, string,
// timestamp, duration and getFullYear to getMilliseconds (in UTC).
//
// Numbers of data compare with each other whatever their kind. Integers within
// 64 bits, signed or not, are exact; other numbers are doubles, and one beyond
// them, such as 1e400, is infinite. Arithmetic between numbers of different kinds
// is done in doubles.
//
// An expression that fails is no match: a field that is missing, values of types
// that do not fit, a division by zero, data that is not JSON. So a mistake hides
// events and never shows one. As in CEL, && and || overlook a failure on one
// side where the other side alone decides.
//
// # What an expression may cost
//
// Nothing in the language loops or grows: there are no comprehensions, and text
// and lists cannot be joined. What looks through text or a list does so up to a
// limit and fails beyond it ([ErrTooLong]). Hence [MaxCost] bounds every
// evaluation when the expression is compiled, and no count is kept at run time.
package filter

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// A Clause says which events a key, a token or a request may see. Each part that
// is set must hold, and an event matches a list if it matches any of its
// patterns. The zero value matches every event.
//
// It is the one form of this rule: keys, tokens and answers embed it, and its JSON
// is part of each of theirs.
type Clause struct {
	Types    []string `json:"types,omitempty"`    // patterns of event types; empty: all
	Subjects []string `json:"subjects,omitempty"` // globs of subjects; empty: all
	Filter   string   `json:"filter,omitempty"`   // an expression over the event; empty: none
}

// A Filter is a compiled conjunction of clauses. It does not change and may be
// used by many goroutines at once.
type Filter struct {
	types    []typePattern // any of them; nil: all
	subjects [][]glob      // one of each list
	exprs    []*expression // all of them
	never    bool          // the clauses contradict each other
	key      string
}

// Compile returns the filter that matches what every clause matches; without
// clauses, everything. An error is an [*Error], and is the caller's to fix.
//
// Clauses that contradict each other are no error: their filter matches nothing.
// See [Overlap] to tell a holder so.
func Compile(clauses ...Clause) (*Filter, error) {
	f := new(Filter)
	for _, c := range clauses {
		types, err := parseTypes(c.Types)
		if err != nil {
			return nil, err
		}
		subjects, err := parseSubjects(c.Subjects)
		if err != nil {
			return nil, err
		}
		if types != nil {
			f.types = intersect(f.types, types)
		}
		if subjects != nil {
			f.subjects = append(f.subjects, subjects)
		}
		if c.Filter == "" {
			continue
		}
		x, err := compileExpression(c.Filter)
		if err != nil {
			return nil, err
		}
		f.exprs = append(f.exprs, x)
	}
	f.reduce()
	f.key = f.canonical()
	return f, nil
}

// reduce brings the filter into the one form that [Filter.Key] writes down.
func (f *Filter) reduce() {
	f.subjects = conjoin(f.subjects)
	slices.SortFunc(f.exprs, func(a, b *expression) int { return strings.Compare(a.form, b.form) })
	f.exprs = slices.CompactFunc(f.exprs, func(a, b *expression) bool { return a.form == b.form })

	f.never = f.types != nil && len(f.types) == 0
	for _, list := range f.subjects {
		f.never = f.never || len(list) == 0
	}
	if f.never {
		f.types, f.subjects, f.exprs = nil, nil, nil
	}
}

// Match reports whether every clause holds for e. It never panics, and what
// cannot be decided is no match.
func (f *Filter) Match(e *Event) bool {
	ok, _ := f.Evaluate(e)
	return ok
}

// Evaluate is [Filter.Match] for a caller who wants to tell a holder that their
// expression met more text, or a longer list, than it may look through. The error
// is then [ErrTooLong]; it is nil in every other case, failures included. With an
// error there is no match.
func (f *Filter) Evaluate(e *Event) (bool, error) {
	if f.never || f.types != nil && !anyType(f.types, e.Type) {
		return false, nil
	}
	for _, list := range f.subjects {
		if !anyGlob(list, e.Subject) {
			return false, nil
		}
	}
	for _, x := range f.exprs {
		ok, err := x.holds(e)
		if errors.Is(err, ErrTooLong) {
			return false, ErrTooLong
		}
		if err != nil || !ok {
			return false, nil
		}
	}
	return true, nil
}

// Key returns the canonical form of the filter. Two filters with equal keys match
// the same events.
//
// What does not change a key: the order of clauses, types and subjects; what is
// said twice, or is covered by something wider ("payment.failed" beside
// "payment.*", what a key may see around what its holder asked for); the spelling
// of an expression, such as white space, quotes and parentheses. A key is for
// comparing: its form may change, and it is not for people.
func (f *Filter) Key() string {
	return f.key
}

// canonical writes every text with its length before it and every list with its
// count, so that no two filters can meet in one key.
func (f *Filter) canonical() string {
	if f.never {
		return "none"
	}
	var b []byte
	b = appendCount(b, 't', len(f.types))
	for _, p := range f.types {
		b = appendText(b, p.String())
	}
	b = appendCount(b, 's', len(f.subjects))
	for _, list := range f.subjects {
		b = appendCount(b, 'g', len(list))
		for _, g := range list {
			b = appendText(b, g.text)
		}
	}
	b = appendCount(b, 'x', len(f.exprs))
	for _, x := range f.exprs {
		b = appendText(b, x.form)
	}
	return string(b)
}

// ReadsData reports whether the filter looks into the data of an event. One that
// does not never decodes it.
func (f *Filter) ReadsData() bool {
	return slices.ContainsFunc(f.exprs, func(x *expression) bool { return x.readsData })
}

// Subject returns the one subject whose events the filter can match, if there is
// only one, so that feeds can be found by it.
func (f *Filter) Subject() (string, bool) {
	for _, list := range f.subjects {
		if len(list) == 1 && list[0].isLiteral() {
			return list[0].text, true
		}
	}
	return "", false
}

// appendCount writes how many items of a kind follow.
func appendCount(b []byte, kind byte, n int) []byte {
	return append(strconv.AppendInt(append(b, kind), int64(n), 10), ';')
}

// appendText writes s so that its end cannot be mistaken.
func appendText(b []byte, s string) []byte {
	return append(append(strconv.AppendInt(b, int64(len(s)), 10), ':'), s...)
}
