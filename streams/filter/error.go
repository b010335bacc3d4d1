package filter

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// ErrTooLong is what [Filter.Evaluate] returns for an event in which an expression
// met more text, or a longer list, than it may look through.
var ErrTooLong = errors.New("filter: the event has more text or items than an expression may look through")

// The parts of a [Clause], as an [Error] names them. They are the names of the query
// parameters too.
const (
	PartTypes   = "types"
	PartSubject = "subject"
	PartFilter  = "filter"
)

// An Error says what is wrong with a clause, in words for whoever wrote it.
type Error struct {
	// Part is the part of the clause: one of [PartTypes], [PartSubject] and
	// [PartFilter].
	Part string

	// Reason says what to do. It holds nothing of the inside of the program, and
	// of the clause at most a short piece in escaped form.
	Reason string

	// Line and Column are where in an expression, from 1; 0 if that is not known.
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

// quote returns a piece of the input as it may be shown: in ASCII and short.
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
