package eventlog

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/paylogic/pushserver/streams/filter"
)

// An Event is something that happened: a CloudEvent 1.0 whose data is JSON.
//
// The log takes events as they are: whoever fills one checks it first, as
// package api does for everything that comes from outside.
type Event struct {
	ID         string // with Source, the idempotency key
	Source     string // who says so
	Type       string // what happened: payment.succeeded
	Subject    string // the thing it happened to: order/9; may be empty
	Time       string // when, in RFC 3339
	Merchant   string // whose event it is
	DataSchema string // URI of the schema of Data; may be empty
	Extensions []byte // a JSON object of further CloudEvents attributes, or nil
	Data       []byte // one JSON value, delivered byte for byte; nil if there is none

	// State says that the type is state-like: of all events of one type and
	// subject only the newest counts. Data that is null, or missing, then says
	// that the subject is gone.
	State bool
}

// A Digest identifies the content of an event: 16 bytes of its SHA-256.
type Digest [16]byte

// Digest returns the digest of what makes an event the same when it is sent
// again: all but its time, which a gateway adds where the publisher did not, and
// State, which is how the gateway is configured.
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

// size is about how many bytes the event has, stored or encoded.
func (e *Event) Size() int { return 400 + len(e.Data) + len(e.Extensions) }

// An Entry is an event in a log.
type Entry struct {
	ID    ID // its position
	Prev  ID // the position of the entry before it, or the log's origin
	Event Event
}

// predicate returns the event as filters see it.
func (e *Event) Predicate() *filter.Event {
	return &filter.Event{
		ID: e.ID, Source: e.Source, Type: e.Type, Subject: e.Subject,
		Merchant: e.Merchant, Time: e.Time, Data: e.Data,
	}
}
