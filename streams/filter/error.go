package filter

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// ErrTooLong says that an expression met a text or a list longer than its limit.
var ErrTooLong = errors.New("filter: the event has more text or items than an expression may look through")

// The parts of a [Clause], as an [Error] names them. They are the names of the query
// parameters too.
const (
	PartTypes   = "types"
	PartSubject = "subject"
	PartFilter  = "filter"
)

// An Error says what is wrong with a clause, in words for its author.
type Error struct {
	// Part is the part of the clause: one of [PartTypes], [PartSubject] and
	// [PartFilter].
	Part string

	// Reason says what to do. It shows nothing internal, and at most a short,
	// escaped piece of the clause.
	Reason string

	// Line and Column are the place in an expression, from 1; 0 if unknown.
	Line, Column int
}

// Error implements error.
func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s: line %d, column %d: %s", e.Part, e.Line, e.Column, e.Reason)
	}
	return e.Part + ": " + e.Reason
}

// refuse returns an error without a place.
func refuse(part, format string, args ...any) *Error {
	return &Error{Part: part, Reason: fmt.Sprintf(format, args...)}
}

// quote makes a piece of the input safe to show: in ASCII and short.
func quote(s string) string {
	const most = 40
	if len(s) <= most {
		return strconv.QuoteToASCII(s)
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strconv.QuoteToASCII(s[:cut]) + "…"
}
