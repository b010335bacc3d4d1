package streams

import (
	"encoding/json"
	"sync/atomic"

	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/sse"
)

// Framing is the form in which a subscription gets its events.
type Framing uint8

const (
	SSE        Framing = iota // server-sent events; data is the CloudEvent
	SSEData                   // server-sent events; data is the event's data alone
	Lines                     // a JSON object a line, with id, event and data as in SSE
	LinesData                 // the same; data is the event's data alone
	SSEUnnamed                // server-sent events without a name, and without control events
	SSEChannel                // server-sent events as flask-sse wrote them, and no control event but stream.reset
	framings                  // how many there are
)

func (f Framing) lines() bool { return f == Lines || f == LinesData }

// hides reports whether the framing leaves out the name and the data of a control
// event, because its clients would take them for an event. The id and the retry
// time remain. Pages made for flask-sse ignore stream.reset unless they listen for
// it.
func (f Framing) hides(event string) bool {
	return f == SSEUnnamed || f == SSEChannel && event != "stream.reset"
}

func (f Framing) event(e *eventlog.Entry) []byte { return f.entry(e, e.ID.String()) }

// state leaves out the id: a client cannot resume from a state.
func (f Framing) state(e *eventlog.Entry) []byte { return f.entry(e, "") }

func (f Framing) entry(e *eventlog.Entry, id string) []byte {
	data, name := e.Event.Data, e.Event.Type
	switch {
	case f == SSE || f == Lines || f == SSEUnnamed:
		data = AppendCloudEvent(make([]byte, 0, 256+len(data)), &e.Event)
	case data == nil:
		data = []byte("null")
	case f == SSEChannel:
		data = plainText(data)
	}
	if f == SSEUnnamed || f == SSEChannel && name == Unnamed {
		name = ""
	}
	return f.block(sse.Event{ID: id, Type: name, Data: data})
}

// Unnamed is the type of events that flask-sse publishes without one.
const Unnamed = "message"

// plainText returns a value as flask-sse wrote it: a string as it is, with its
// lines, and any other value in JSON.
func plainText(data []byte) []byte {
	var text string
	if data[0] != '"' || json.Unmarshal(data, &text) != nil {
		return data
	}
	return []byte(text)
}

func (f Framing) block(e sse.Event) []byte {
	if !f.lines() {
		return e.Append(make([]byte, 0, len(e.ID)+len(e.Type)+len(e.Data)+48))
	}
	b := make([]byte, 0, len(e.ID)+len(e.Type)+len(e.Data)+32)
	b = append(b, '{')
	if e.ID != "" {
		b = append(b, `"id":`...)
		b = appendString(b, e.ID)
		b = append(b, ',')
	}
	b = append(b, `"event":`...)
	b = appendString(b, e.Type)
	b = append(b, `,"data":`...)
	b = appendOneLine(b, e.Data)
	return append(b, "}\n"...)
}

func (f Framing) heartbeat() []byte {
	if f.lines() {
		return lineHeartbeat
	}
	return sseHeartbeat
}

// A heartbeat is a comment without an empty line after it: some clients report
// an empty message at every empty line.
var (
	sseHeartbeat  = []byte(":\n")
	lineHeartbeat = []byte("\n")
)

// appendOneLine appends a JSON value without its line ends, which are always
// white space: a JSON string has none (RFC 8259, section 7).
func appendOneLine(dst, value []byte) []byte {
	for _, c := range value {
		if c == '\n' || c == '\r' {
			c = ' '
		}
		dst = append(dst, c)
	}
	return dst
}

// AppendCloudEvent appends the event in the JSON format of CloudEvents 1.0,
// with the bytes of Data unchanged.
func AppendCloudEvent(dst []byte, e *eventlog.Event) []byte {
	dst = append(dst, `{"specversion":"1.0"`...)
	for _, member := range [...]struct{ name, value string }{
		{`,"id":`, e.ID}, {`,"source":`, e.Source}, {`,"type":`, e.Type}, {`,"subject":`, e.Subject},
		{`,"time":`, e.Time}, {`,"merchant":`, e.Merchant}, {`,"dataschema":`, e.DataSchema},
	} {
		if member.value != "" {
			dst = append(dst, member.name...)
			dst = appendString(dst, member.value)
		}
	}
	if len(e.Extensions) > 2 { // more than {}
		dst = append(dst, ',')
		dst = append(dst, e.Extensions[1:len(e.Extensions)-1]...)
	}
	if e.Data != nil {
		dst = append(dst, `,"data":`...)
		dst = append(dst, e.Data...)
	}
	return append(dst, '}')
}

// appendString appends s as a JSON string.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic(err) // a string always has a JSON form
			}
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// Answer returns a page as a stream that has ended, for clients that see a
// response only once it is complete. It begins with the time to wait before the
// next poll, and ends with the position to send then.
func (f Framing) Answer(page Page) []byte {
	text := f.control(eventlog.ID{}, "stream.open", pollRetry, struct{}{})
	if page.Reset != nil {
		page.Cursor = page.Reset.After
		text = append(text, f.control(eventlog.ID{}, "stream.reset", 0, page.Reset)...)
	}
	var last eventlog.ID
	for i := range page.Entries {
		text = append(text, f.event(&page.Entries[i])...)
		last = page.Entries[i].ID
	}
	if last != page.Cursor {
		text = append(text, f.control(page.Cursor, "stream.cursor", 0, struct{}{})...)
	}
	return text
}

// An item is an entry on its way to readers, encoded once per framing.
type item struct {
	seq   uint64 // its number in the tail; 0 if it was read from the log for one reader
	entry eventlog.Entry
	texts [framings]atomic.Pointer[[]byte]
}

// text returns the item in a framing. If two readers are first at the same
// time, both encode it and one text is thrown away.
func (it *item) text(f Framing) []byte {
	if p := it.texts[f].Load(); p != nil {
		return *p
	}
	text := f.event(&it.entry)
	it.texts[f].Store(&text)
	return text
}

// size estimates the memory of the item once it is encoded.
func (it *item) size() int { return 256 + 2*len(it.entry.Event.Data) }

// joinLimit bounds one write. It is the size of a connection's send buffer:
// more would only wait.
const joinLimit = 64 << 10

// join returns the texts of the first n items in one piece: at least one item,
// and at most joinLimit bytes unless the first is longer. A piece of one item is
// shared and must not be changed. A piece of several is appended to buf.
func join(items []*item, f Framing, buf []byte) (piece []byte, n int) {
	first := items[0].text(f)
	if len(items) == 1 || len(first) >= joinLimit {
		return first, 1
	}
	piece = append(buf, first...)
	for n = 1; n < len(items); n++ {
		text := items[n].text(f)
		if len(piece)+len(text) > joinLimit {
			break
		}
		piece = append(piece, text...)
	}
	return piece, n
}
