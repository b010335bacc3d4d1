package api

import (
	"bytes"
	"encoding/json"
)

// maxDepth is how many arrays and objects may stand in each other in the data of
// an event. Where the data is a member of the event, that is one more.
const maxDepth = 64

// usualMembers is how many members the objects have for which there is room at once:
// as many as an event.
const usualMembers = 12

// A member is one member of an object.
type member struct {
	name  string // decoded
	value []byte // as written
}

// A document is one JSON value, its top level taken apart. The bytes are those
// that were scanned, not copies.
type document struct {
	kind     byte     // '{', '[', '"', '0', 't', 'f' or 'n'
	members  []member // of an object, in order
	elements [][]byte // of an array, in order; not of a batch
	raw      []byte   // the value without the space around it
}

// scan reads exactly one JSON value (RFC 8259) and refuses what readers of JSON
// disagree about, so that everybody after us reads the same: bytes that are not
// UTF-8, lone surrogates, members of the same name in one object, a byte order
// mark, more than [maxDepth] levels. Its errors are problems.
//
// encoding/json mends the first two silently, takes the last of two members and
// folds their case.
func scan(raw []byte) (*document, error) {
	s := scanner{raw: raw, most: maxDepth}
	return s.document()
}

// scanEvent reads one JSON value that has data in it as scan does.
func scanEvent(raw []byte) (*document, error) {
	s := scanner{raw: raw, most: maxDepth + 1}
	return s.document()
}

// scanBatch reads one JSON value as scan does, and if it is an array its elements as
// scanEvent does: one that is too deep, has a member twice or is not UTF-8 does not
// hold up those behind it. What is not JSON is refused as a whole.
//
// Each element goes to each, as a document that is good until each returns, or as
// what is wrong with it. What it was given before an error means nothing.
func scanBatch(raw []byte, each func(*document, error)) (*document, error) {
	s := scanner{raw: raw, most: maxDepth, batch: each}
	return s.document()
}

// text decodes a JSON string; it reports false for any other value.
func text(value []byte) (string, bool) {
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
