package strictjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// A Document is one JSON value, with its top level split into parts. All bytes
// are slices of the input, not copies.
type Document struct {
	Kind     byte     // '{', '[', '"', '0', 't', 'f' or 'n'
	Members  []Member // of an object, in order
	Elements [][]byte // of an array, in order; nil after [ParseBatch]
	Raw      []byte   // the value without the space around it
}

// A Member is one member of an object.
type Member struct {
	Name  string // decoded
	Value []byte // as written
}

// Bounds are limits on a document.
type Bounds struct {
	Depth    int // arrays and objects inside one another
	Members  int // of one object; 0: unlimited
	Elements int // of a batch
}

// Parse reads exactly one JSON value. An error is an [*Error].
func Parse(raw []byte, bounds Bounds) (*Document, error) {
	s := scanner{raw: raw, bounds: bounds}
	return s.document()
}

// ParseBatch reads one JSON value as [Parse] does. If the value is an array, each
// of its elements is a document of its own, with its own depth: one that is too
// deep, has a duplicate member or is not UTF-8 does not affect the next. Text that
// is not JSON, or too many elements, is an error of the whole batch.
//
// ParseBatch passes each element to each in order, as a document that is valid
// until each returns, or as an error. After an error of the whole batch, ignore
// the elements passed before it.
func ParseBatch(raw []byte, bounds Bounds, each func(*Document, error)) (*Document, error) {
	s := scanner{raw: raw, bounds: bounds, each: each}
	return s.document()
}

// Text decodes a JSON string that was parsed. It reports false for any other value.
func Text(value []byte) (string, bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1]), true
	}
	var s string
	err := json.Unmarshal(value, &s)
	return s, err == nil
}

// An Error says why a text was rejected. It can be shown to the sender.
type Error struct {
	Code   Code
	At     int    // the byte at which the scanner stopped
	Detail string // what to do, in one sentence
}

// Error implements error.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Detail }

// A Code names what is wrong with a text.
type Code string

// The codes of an [Error].
const (
	Malformed Code = "malformed-json" // not one JSON value
	NotUTF8   Code = "invalid-utf8"   // bytes that are not UTF-8, or a lone surrogate
	Duplicate Code = "duplicate-member"
	TooDeep   Code = "too-deep"
	TooMany   Code = "too-many" // members of an object, or elements of a batch
)

func (s *scanner) fail(code Code, format string, args ...any) error {
	return &Error{Code: code, At: s.at, Detail: fmt.Sprintf(format, args...)}
}

// Quote returns at most 40 bytes of a text, in ASCII and in quotes, to be shown
// in an error.
func Quote(s string) string {
	const longest = 40
	if len(s) <= longest {
		return strconv.QuoteToASCII(s)
	}
	cut := longest
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strconv.QuoteToASCII(s[:cut]) + "…"
}
