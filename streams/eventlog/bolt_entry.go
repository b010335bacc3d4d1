package eventlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// The format of a BoltLog's file. A position is a key of 16 bytes without its
// tag, so that keys have the order of positions; the tag is in the value. Numbers
// are big endian, and lengths are uvarints.
//
// An entry:
//
//	1   version
//	1   flags
//	5   tag of its position
//	8   its number in the log, from 1
//	21  the position of the entry before it
//	    the lengths: texts in the order of fieldsOf, extensions, data
//	    the values, in the same order
//	4   CRC-32C of everything above
//
// A head: version, incarnation, the newest position and its number, the number
// of states, CRC-32C. A receipt: the hash of source and id, the event's digest,
// the tag of its position.
const (
	boltVersion = 1
	flagState   = 1

	stampLen  = 16
	sumLen    = 4
	entryHead = 2 + tagLen + 8 + stampLen + tagLen
	headLen   = 1 + tagLen + stampLen + tagLen + 8 + 8 + sumLen
	takenLen  = len(eventHash{}) + len(Digest{}) + tagLen
)

// An eventHash identifies an event by source and id, or a state by type and
// subject.
type eventHash [16]byte

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errBroken = errors.New("what was written is broken")

func boltKey(id ID) []byte {
	key := make([]byte, 0, stampLen)
	key = binary.BigEndian.AppendUint64(key, id.ms)
	return binary.BigEndian.AppendUint64(key, id.seq)
}

func boltID(key, tag []byte) ID {
	id := ID{ms: binary.BigEndian.Uint64(key), seq: binary.BigEndian.Uint64(key[8:])}
	copy(id.tag[:], tag)
	return id
}

func appendBoltID(dst []byte, id ID) []byte {
	dst = binary.BigEndian.AppendUint64(dst, id.ms)
	dst = binary.BigEndian.AppendUint64(dst, id.seq)
	return append(dst, id.tag[:]...)
}

func readBoltID(b []byte) ID { return boltID(b, b[stampLen:stampLen+tagLen]) }

func seal(b []byte) []byte { return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)) }

func unseal(b []byte) ([]byte, error) {
	if len(b) < sumLen {
		return nil, errBroken
	}
	body := b[:len(b)-sumLen]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(b[len(body):]) {
		return nil, errBroken
	}
	return body, nil
}

func fieldsOf(e *Event) [7]*string {
	return [...]*string{&e.ID, &e.Source, &e.Type, &e.Subject, &e.Time, &e.Merchant, &e.DataSchema}
}

// encodeEvent returns an entry without the parts that the log assigns, with
// room for them.
func encodeEvent(e *Event) []byte {
	fields := fieldsOf(e)
	size := entryHead + 2*binary.MaxVarintLen64 + len(e.Extensions) + len(e.Data) + sumLen
	for _, field := range fields {
		size += len(*field) + 3
	}
	b := make([]byte, entryHead, size)
	b[0] = boltVersion
	if e.State {
		b[1] |= flagState
	}
	for _, field := range fields {
		b = binary.AppendUvarint(b, uint64(len(*field)))
	}
	b = binary.AppendUvarint(b, uint64(len(e.Extensions)))
	b = binary.AppendUvarint(b, uint64(len(e.Data)))
	for _, field := range fields {
		b = append(b, *field...)
	}
	b = append(b, e.Extensions...)
	return append(b, e.Data...)
}

// completeEntry adds the parts that the log assigns. It changes begun.
func completeEntry(begun []byte, id, prev ID, number uint64) []byte {
	b := append(begun[:2], id.tag[:]...)
	b = binary.BigEndian.AppendUint64(b, number)
	appendBoltID(b, prev)
	return seal(begun)
}

// entryTag and entryNumber accept values that decodeEntry has not checked.
func entryTag(value []byte) []byte {
	if len(value) < entryHead {
		return nil
	}
	return value[2 : 2+tagLen]
}

func entryNumber(value []byte) uint64 {
	if len(value) < entryHead {
		return 0
	}
	return binary.BigEndian.Uint64(value[2+tagLen:])
}

// decodeEntry returns an entry that does not share memory with value.
func decodeEntry(key, value []byte) (Entry, error) {
	b, err := unseal(value)
	switch {
	case err != nil || len(key) != stampLen || len(b) < entryHead:
		return Entry{}, errBroken
	case b[0] != boltVersion || b[1]&^flagState != 0:
		return Entry{}, fmt.Errorf("an entry of version %d with flags %b, this program reads version %d", b[0], b[1], boltVersion)
	}
	e := Entry{ID: boltID(key, entryTag(b)), Prev: readBoltID(b[2+tagLen+8:])}
	e.Event.State = b[1]&flagState != 0

	fields := fieldsOf(&e.Event)
	var lengths [len(fields) + 2]int
	b = b[entryHead:]
	texts, all := 0, 0
	for i := range lengths {
		length, n := binary.Uvarint(b)
		if n <= 0 || length > uint64(len(value)) {
			return Entry{}, errBroken
		}
		b = b[n:]
		lengths[i] = int(length)
		if all += lengths[i]; i < len(fields) {
			texts = all
		}
	}
	if all != len(b) {
		return Entry{}, errBroken
	}
	text := string(b[:texts]) // one string, which the fields share
	for i, field := range fields {
		*field, text = text[:lengths[i]], text[lengths[i]:]
	}
	if rest := bytes.Clone(b[texts:]); len(rest) > 0 {
		extensions := lengths[len(fields)]
		e.Event.Extensions = orNil(rest[:extensions:extensions])
		e.Event.Data = orNil(rest[extensions:])
	}
	return e, nil
}

func orNil(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// A boltHead is the stored summary of a log.
type boltHead struct {
	origin ID
	last   ID     // the newest position, or the origin
	number uint64 // of the newest entry
	state  uint64 // the number of states
}

func (h *boltHead) encode() []byte {
	b := make([]byte, 0, headLen)
	b = append(b, boltVersion)
	b = append(b, h.origin.tag[:]...)
	b = appendBoltID(b, h.last)
	b = binary.BigEndian.AppendUint64(b, h.number)
	b = binary.BigEndian.AppendUint64(b, h.state)
	return seal(b)
}

func decodeHead(value []byte) (boltHead, error) {
	b, err := unseal(value)
	if err != nil || len(value) != headLen || b[0] != boltVersion {
		return boltHead{}, errors.New("its head is not ours")
	}
	b = b[1:]
	h := boltHead{last: readBoltID(b[tagLen:])}
	copy(h.origin.tag[:], b)
	b = b[tagLen+stampLen+tagLen:]
	h.number, h.state = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
	return h, nil
}

// A boltTaken is a stored receipt.
type boltTaken struct {
	digest Digest
	id     ID
}

func (t *boltTaken) encode(event eventHash) []byte {
	b := make([]byte, 0, takenLen)
	b = append(b, event[:]...)
	b = append(b, t.digest[:]...)
	return append(b, t.id.tag[:]...)
}

func decodeTaken(key, value []byte) (event eventHash, t boltTaken, err error) {
	if len(key) != stampLen || len(value) != takenLen {
		return event, t, errBroken
	}
	value = value[copy(event[:], value):]
	value = value[copy(t.digest[:], value):]
	t.id = boltID(key, value)
	return event, t, nil
}

func hashPair(a, b string) (h eventHash) {
	text := binary.AppendUvarint(make([]byte, 0, 256), uint64(len(a)))
	text = append(text, a...)
	text = append(text, b...)
	sum := sha256.Sum256(text)
	copy(h[:], sum[:])
	return h
}
