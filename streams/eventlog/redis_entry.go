package eventlog

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Redis keeps an event as a stream entry with these fields:
//
//	r  the tag of its position; the rest of the position is the entry's ID
//	p  the position of the entry before it
//	a  the event's attributes: its texts in the order of fieldsOf, then its
//	   extensions; each as its length in bytes, a colon and the value
//	d  its data
//	k  1 if it is a state
//
// Most attributes share one field, because a field costs Redis more than its
// content: when the entry is added, written to disk, replicated and read. A state
// is stored as its position with its length as above, field a, and its data with
// its length.
//
// entriesVersion is the version of this layout: see settleLayout.
const entriesVersion = 2

var errForeign = errors.New("an entry of another layout")

func packAttributes(e *Event) []byte {
	fields := fieldsOf(e)
	size := len(e.Extensions) + 8*len("256:")
	for _, field := range fields {
		size += len(*field)
	}
	b := make([]byte, 0, size)
	for _, field := range fields {
		b = append(packLength(b, len(*field)), *field...)
	}
	return append(packLength(b, len(e.Extensions)), e.Extensions...)
}

func packLength(b []byte, n int) []byte { return append(strconv.AppendInt(b, int64(n), 10), ':') }

func unpackAttributes(e *Event, text string) (rest string, err error) {
	for _, field := range fieldsOf(e) {
		if *field, text, err = unpack(text); err != nil {
			return "", err
		}
	}
	extensions, rest, err := unpack(text)
	e.Extensions = bytesOf(extensions)
	return rest, err
}

// unpack splits off a value that its length precedes.
func unpack(text string) (value, rest string, err error) {
	digits, rest, ok := strings.Cut(text, ":")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 0 || n > len(rest) {
		return "", "", errForeign
	}
	return rest[:n], rest[n:], nil
}

func readEntries(log string, reply []any) ([]Entry, error) {
	entries := make([]Entry, len(reply))
	for i := range reply {
		if err := entries[i].read(reply[i]); err != nil {
			return nil, refusal(log, err.Error())
		}
	}
	return entries, nil
}

func (e *Entry) read(reply any) error {
	pair, _ := reply.([]any)
	if len(pair) != 2 {
		return errForeign
	}
	stamp, _ := pair[0].(string)
	fields, _ := pair[1].([]any)
	var tag, prev, attributes string
	for i := 0; i+1 < len(fields); i += 2 {
		name, _ := fields[i].(string)
		value, _ := fields[i+1].(string)
		switch name {
		case "r":
			tag = value
		case "p":
			prev = value
		case "a":
			attributes = value
		case "d":
			e.Event.Data = bytesOf(value)
		case "k":
			e.Event.State = true
		}
	}
	rest, err := unpackAttributes(&e.Event, attributes)
	if err != nil || rest != "" {
		return fmt.Errorf("%w at %s", errForeign, stamp)
	}
	if e.ID, err = ParseID(stamp + "-" + tag); err != nil {
		return fmt.Errorf("%w at %s", errForeign, stamp)
	}
	if e.Prev, err = ParseID(prev); err != nil {
		return fmt.Errorf("%w at %s", errForeign, stamp)
	}
	return nil
}

// readState decodes a state as the append script stores it.
func readState(text string) (Entry, error) {
	e := Entry{Event: Event{State: true}}
	position, text, err := unpack(text)
	if err != nil {
		return Entry{}, err
	}
	if e.ID, err = ParseID(position); err != nil {
		return Entry{}, errForeign
	}
	if text, err = unpackAttributes(&e.Event, text); err != nil {
		return Entry{}, err
	}
	data, text, err := unpack(text)
	if err != nil || text != "" {
		return Entry{}, errForeign
	}
	e.Event.Data = bytesOf(data)
	return e, nil
}

// bytesOf returns nil for an empty text, as in the original event.
func bytesOf(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}
