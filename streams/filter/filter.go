// Package filter decides which events a reader sees.
//
// A filter is compiled once, from what a key may see and what its holder asked
// for. [Filter.Match] then applies it to every event, live or replayed. It can only
// narrow: a clause takes events away and never gives any back. Filters with equal
// keys match the same events, so readers whose filters share a [Filter.Key] can
// share one feed.
//
// # What a clause can say
//
//   - types: what happened. "payment.failed", "payment.*", "*": a star comes
//     last, alone or after a prefix.
//   - subjects: the thing it happened to. "event/42/*" with "*" for any text
//     within a segment, which may be empty, and "**" for any text at all.
//     Every other character is literal: "../B" is a text like any other.
//   - an expression in the Common Expression Language over the event.
//
// # Expressions
//
// The variables are id, source, type, subject and merchant (strings), time (a
// timestamp) and data (the JSON value). The language has the operators
// && || ! ?: == != < <= > >= in + - * / % and [], list literals, has(), and the
// functions contains, startsWith, endsWith, matches, size, int, double, string,
// timestamp, duration and getFullYear to getMilliseconds (in UTC).
//
// Numbers of data of all kinds compare with each other. Integers of 64 bits,
// signed or not, are exact. Other numbers are doubles; one that is too large for a
// double, such as 1e400, is infinite. Arithmetic between numbers of different
// kinds uses doubles.
//
// An expression that fails is no match: a missing field, types that do not fit, a
// division by zero, data that is not JSON. So a mistake hides events and never
// shows one. As in CEL, && and || ignore a failure on one side if the other side
// alone decides.
//
// # What an expression may cost
//
// Nothing in the language loops or grows: there are no comprehensions, and text
// and lists cannot be joined. A function that looks through text or a list has a
// limit and fails beyond it ([ErrTooLong]). So [MaxCost] bounds every evaluation
// when the expression is compiled, and nothing is counted at run time.
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

// reduce brings the filter into its canonical form.
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

// Match reports whether every clause holds for e. It never panics. A clause that
// fails is no match.
func (f *Filter) Match(e *Event) bool {
	ok, _ := f.Evaluate(e)
	return ok
}

// Evaluate reports whether an event matches, as [Filter.Match] does. It
// returns [ErrTooLong] if an expression met a text or a list longer than its limit,
// and then there is no match. The error is nil for every other failure.
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
// These do not change a key: the order of clauses, types and subjects; a pattern
// that occurs twice, or that a wider one covers ("payment.failed" beside
// "payment.*"); the spelling of an expression, such as white space, quotes and
// parentheses. Keys are for comparison only: their form may change.
func (f *Filter) Key() string {
	return f.key
}

// canonical writes every text after its length and every list after its count, so
// that different filters have different keys.
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

// appendCount writes how many items of a kind follow.
func appendCount(b []byte, kind byte, n int) []byte {
	return append(strconv.AppendInt(append(b, kind), int64(n), 10), ';')
}

// appendText writes s so that its end cannot be mistaken.
func appendText(b []byte, s string) []byte {
	return append(append(strconv.AppendInt(b, int64(len(s)), 10), ':'), s...)
}
