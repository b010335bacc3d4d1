package eventlog

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func anyID(t *rapid.T, label string) ID {
	id := ID{ms: rapid.Uint64().Draw(t, label+" ms"), seq: rapid.Uint64().Draw(t, label+" seq")}
	copy(id.tag[:], rapid.StringMatching(`[0-9A-Za-z]{5}`).Draw(t, label+" tag"))
	return id
}

func TestBoltEntryComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Entry{ID: anyID(t, "id"), Prev: anyID(t, "prev")}
		want.Event.State = rapid.Bool().Draw(t, "state")
		for _, field := range fieldsOf(&want.Event) {
			*field = rapid.StringN(0, 300, -1).Draw(t, "field")
		}
		want.Event.Extensions = orNil(rapid.SliceOf(rapid.Byte()).Draw(t, "extensions"))
		want.Event.Data = orNil(rapid.SliceOf(rapid.Byte()).Draw(t, "data"))
		number := rapid.Uint64().Draw(t, "number")

		value := completeEntry(encodeEvent(&want.Event), want.ID, want.Prev, number)
		got, err := decodeEntry(boltKey(want.ID), value)
		if err != nil || fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
			t.Fatalf("%x\ngot  %#v (%v)\nwant %#v", value, got, err, want)
		}
		if n := entryNumber(value); n != number {
			t.Fatalf("its number is %d, want %d", n, number)
		}
		broken := bytes.Clone(value)
		broken[rapid.IntRange(0, len(value)-1).Draw(t, "broken byte")] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
		if got, err := decodeEntry(boltKey(want.ID), broken); err == nil {
			t.Fatalf("with a broken byte it is read as %#v", got)
		}
		if got, err := decodeEntry(boltKey(want.ID), value[:rapid.IntRange(0, len(value)-1).Draw(t, "cut")]); err == nil {
			t.Fatalf("cut short it is read as %#v", got)
		}
	})
}

func TestBoltHeadAndReceiptComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := boltHead{
			origin: originOf(newTag()), last: anyID(t, "last"),
			number: rapid.Uint64().Draw(t, "number"), state: rapid.Uint64().Draw(t, "state"),
		}
		value := want.encode()
		if got, err := decodeHead(value); err != nil || got != want {
			t.Fatalf("head %+v (%v), want %+v", got, err, want)
		}
		value[rapid.IntRange(0, len(value)-1).Draw(t, "broken byte")] ^= 1
		if got, err := decodeHead(value); err == nil {
			t.Fatalf("with a broken byte it is read as %+v", got)
		}

		taken := boltTaken{Digest(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "digest")), anyID(t, "id")}
		event := hashPair(rapid.String().Draw(t, "source"), rapid.String().Draw(t, "event"))
		gotEvent, gotTaken, err := decodeTaken(boltKey(taken.id), taken.encode(event))
		if err != nil || gotEvent != event || gotTaken != taken {
			t.Fatalf("receipt %x %+v (%v), want %x %+v", gotEvent, gotTaken, err, event, taken)
		}
	})
}

func TestHashTellsPairsApart(t *testing.T) {
	if hashPair("ab", "c") == hashPair("a", "bc") || hashPair("", "a") == hashPair("a", "") {
		t.Error("two pairs have the same hash")
	}
}

// FuzzBoltEntry decodes entries with valid checksums. An entry that decodes
// must encode to an equal one.
func FuzzBoltEntry(f *testing.F) {
	e := newEvent("e0")
	e.Extensions, e.DataSchema, e.State = []byte(`{"a":1}`), "urn:x", true
	id := ID{ms: 1, seq: 2, tag: newTag()}
	value := completeEntry(encodeEvent(&e), id, originOf(newTag()), 3)
	f.Add(boltKey(id), value[:len(value)-sumLen])
	f.Add(boltKey(id), value[:entryHead])
	f.Add(boltKey(id), append(bytes.Clone(value[:entryHead]), bytes.Repeat([]byte{0xff}, 100)...))
	f.Fuzz(func(t *testing.T, key, body []byte) {
		value := seal(bytes.Clone(body))
		entryTag(body)
		entryNumber(body)
		got, err := decodeEntry(key, value)
		if err != nil {
			return
		}
		again := completeEntry(encodeEvent(&got.Event), got.ID, got.Prev, entryNumber(value))
		same, err := decodeEntry(key, again)
		if err != nil || fmt.Sprintf("%#v", same) != fmt.Sprintf("%#v", got) {
			t.Errorf("%#v was encoded into %#v (%v)", got, same, err)
		}
	})
}
