package eventlog

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/paylogic/pushserver/streams/filter"
)

// An Event is a CloudEvent 1.0 with JSON data.
//
// The log stores events unchecked. The caller validates them, as package api
// does for all input.
type Event struct {
	ID         string // with Source, the idempotency key
	Source     string // who says so, a URI reference
	Type       string // what happened: payment.succeeded
	Subject    string // the thing it happened to, such as order/9; may be empty
	Time       string // when, in RFC 3339
	Merchant   string // the owner
	DataSchema string // URI of the schema of Data; may be empty
	Extensions []byte // a JSON object of more CloudEvents attributes, or nil
	Data       []byte // one JSON value, delivered byte for byte, or nil

	// State marks a state-like type: only the newest event of each type and
	// subject counts. If its Data is null or missing, the subject has no state
	// any more.
	State bool
}

// A Digest identifies the content of an event: 16 bytes of its SHA-256.
type Digest [16]byte

// Digest covers everything that must be equal when an event is sent again: all
// but Time, which a gateway may have added, and State, which is a setting of
// the gateway.
func (e *Event) Digest() Digest {
	h := sha256.New()
	var length [8]byte
	for _, part := range [][]byte{
		[]byte(e.ID), []byte(e.Source), []byte(e.Type), []byte(e.Subject),
		[]byte(e.Merchant), []byte(e.DataSchema), e.Extensions, e.Data,
	} {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write(part)
	}
	var d Digest
	copy(d[:], h.Sum(nil))
	return d
}

// Size estimates the bytes of the event, stored or encoded.
func (e *Event) Size() int { return 400 + len(e.Data) + len(e.Extensions) }

// An Entry is an event in a log.
type Entry struct {
	ID    ID // its position
	Prev  ID // the position of the entry before it, or the log's origin
	Event Event
}

// Predicate returns the event as filters see it. It shares memory with e.
func (e *Event) Predicate() *filter.Event {
	return &filter.Event{
		ID: e.ID, Source: e.Source, Type: e.Type, Subject: e.Subject,
		Merchant: e.Merchant, Time: e.Time, Data: e.Data,
	}
}
