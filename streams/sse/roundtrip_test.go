package sse_test

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/paylogic/pushserver/streams/sse"
	"pgregory.net/rapid"
)

// Everything that is written arrives, in order, and nothing else does.
func TestEventsArriveAsWritten(t *testing.T) {
	// Strings of the characters with a meaning in the format.
	text := rapid.StringOf(rapid.SampledFrom([]rune("ab: \r\n\x00\ufeffé\"{}")))
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		var want []message
		var lastID string
		for range rapid.IntRange(0, 8).Draw(t, "blocks") {
			if rapid.Bool().Draw(t, "is comment") {
				stream = fmt.Appendf(stream, ": %s\n\n", strings.NewReplacer("\r", "", "\n", "").Replace(text.Draw(t, "comment")))
				continue
			}
			event := sse.Event{
				ID:    text.Draw(t, "id"),
				Type:  text.Draw(t, "type"),
				Retry: time.Duration(rapid.Int64().Draw(t, "retry")),
			}
			if rapid.Bool().Draw(t, "has data") {
				event.Data = []byte(text.Draw(t, "data"))
			}
			stream = event.Append(stream)
			m := received(event, lastID)
			lastID = m.id
			if event.Data != nil {
				want = append(want, m)
			}
		}
		d := sse.NewDecoder(bytes.NewReader(stream))
		got, err := messages(d)
		if !slices.Equal(got, want) || err != io.EOF || d.LastEventID() != lastID {
			t.Fatalf("%q\n got %q, %v, last id %q\nwant %q, EOF, last id %q",
				stream, got, err, d.LastEventID(), want, lastID)
		}
	})
}

func FuzzEventArrivesAsWritten(f *testing.F) {
	f.Add("1-0-abcde", "ticket.availability", int64(3000), []byte("a\r\nb"))
	f.Add("7\ndata: forged\n\n", "\x00\r", int64(-1), []byte("\r\r\n\n:"))
	f.Fuzz(func(t *testing.T, id, typ string, ms int64, data []byte) {
		event := sse.Event{ID: id, Type: typ, Retry: time.Duration(ms), Data: data}
		if data == nil {
			event.Data = []byte{}
		}
		guard := sse.Event{ID: "guard", Type: "guard", Data: []byte("guard")}
		stream := guard.Append(event.Append(guard.Append(nil)))
		d := sse.NewDecoder(bytes.NewReader(stream))
		d.MaxSize = len(stream)
		d.Comment = func(text string) { t.Errorf("%q holds the comment %q", stream, text) }
		got, err := messages(d)
		g := message{"guard", "guard", "guard"}
		if want := []message{g, received(event, "guard"), g}; !slices.Equal(got, want) || err != io.EOF {
			t.Errorf("%q\n got %q, %v\nwant %q, EOF", stream, got, err, want)
		}
	})
}

// received returns what a client must see of an event.
func received(e sse.Event, lastID string) message {
	drop := strings.NewReplacer("\r", "", "\n", "", "\x00", "")
	m := message{
		drop.Replace(e.ID),
		drop.Replace(e.Type),
		strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(e.Data)),
	}
	if m.id == "" {
		m.id = lastID
	}
	if m.typ == "" {
		m.typ = "message"
	}
	return m
}

func FuzzDecoderAgreesWithThePlainReading(f *testing.F) {
	f.Add([]byte("\ufeffid: 1\r\nevent: a\rdata: x\n\n"), 64)
	f.Add([]byte("data\ndata\n\nid\x00: 1\n\n: c\n\n"), 3)
	f.Add([]byte("id: 1\n\nid\ndata:  x\r\n\rdata"), 8)
	f.Fuzz(func(t *testing.T, stream []byte, limit int) {
		want, lastID := plainReading(string(stream))
		d := sse.NewDecoder(iotest.HalfReader(bytes.NewReader(stream)))
		d.MaxSize = len(stream) + 1
		got, err := messages(d)
		if !slices.Equal(got, want) || err != io.EOF || d.LastEventID() != lastID {
			t.Errorf("%q\n got %q, %v, last id %q\nwant %q, EOF, last id %q",
				stream, got, err, d.LastEventID(), want, lastID)
		}

		// With a limit, it delivers the same up to the first event over the
		// limit.
		d = sse.NewDecoder(bytes.NewReader(stream))
		d.MaxSize = max(limit, 1)
		got, err = messages(d)
		if len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
			t.Errorf("%q\n got %q\nwant a beginning of %q", stream, got, want)
		}
		if err == io.EOF && len(got) < len(want) {
			t.Errorf("%q: the bound of %d dropped an event in silence", stream, d.MaxSize)
		}
		for _, m := range got {
			if len(m.data) > d.MaxSize {
				t.Errorf("%q: delivered %d bytes, the bound is %d", stream, len(m.data), d.MaxSize)
			}
		}
	})
}

var lineEnds = regexp.MustCompile("\r\n|\r|\n")

// plainReading implements section 9.2.6 literally, for a complete stream.
func plainReading(stream string) (events []message, lastID string) {
	stream = strings.TrimPrefix(stream, "\ufeff")
	lines := lineEnds.Split(stream, -1)
	var data, typ, id string
	for _, line := range lines[:len(lines)-1] { // the last one is incomplete
		if line == "" {
			lastID = id
			if data != "" {
				if typ == "" {
					typ = "message"
				}
				events = append(events, message{lastID, typ, strings.TrimSuffix(data, "\n")})
			}
			data, typ = "", ""
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			typ = value
		case "data":
			data += value + "\n"
		case "id":
			if !strings.Contains(value, "\x00") {
				id = value
			}
		}
	}
	return events, lastID
}
