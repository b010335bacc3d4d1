package streams

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"encoding/json"
	"strconv"
	"sync/atomic"
	"time"

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
	SSEChannel                // server-sent events as flask-sse wrote them, and without control events
	framings                  // how many there are
)

func (f Framing) lines() bool { return f == Lines || f == LinesData }

// quiet reports whether control events are left out: their readers would take them
// for events.
func (f Framing) quiet() bool { return f == SSEUnnamed || f == SSEChannel }

// event returns what carries an entry of the log as it happens.
func (f Framing) event(e *eventlog.Entry) []byte { return f.entry(e, e.ID.String()) }

// state returns what carries an entry of the log as a state: without an id,
// for it is no position to resume from.
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

// plainText returns what flask-sse wrote for a value: a string as it is, with its
// lines, and everything else in JSON.
func plainText(data []byte) []byte {
	var text string
	if data[0] != '"' || json.Unmarshal(data, &text) != nil {
		return data
	}
	return []byte(text)
}

// block returns the text of one event.
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

// heartbeat returns what says that the connection lives.
func (f Framing) heartbeat() []byte {
	if f.lines() {
		return lineHeartbeat
	}
	return sseHeartbeat
}

var (
	sseHeartbeat  = []byte(":\n\n")
	lineHeartbeat = []byte("\n")
)

// appendOneLine appends a JSON value without its line ends. They can only be
// white space there: within strings JSON has none (RFC 8259, section 7).
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
// with Data as it is.
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

// An item is an entry on its way to readers, encoded once per framing.
type item struct {
	seq   uint64 // its place in the stream; 0 for one read from the log for one reader
	entry eventlog.Entry
	texts [framings]atomic.Pointer[[]byte]
}

// text returns the item in a framing. Two readers may both be the first; then
// one text is thrown away.
func (it *item) text(f Framing) []byte {
	if p := it.texts[f].Load(); p != nil {
		return *p
	}
	text := f.event(&it.entry)
	it.texts[f].Store(&text)
	return text
}

// size is roughly what the item costs in memory once it was encoded.
func (it *item) size() int { return 256 + 2*len(it.entry.Event.Data) }

// joinLimit bounds what goes into one write. It is the size of a connection's
// send buffer: more would only be kept waiting.
const joinLimit = 64 << 10

// join returns the texts of the first of items in one piece, and how many
// they are: at least one, and no more than joinLimit bytes unless the first is
// longer. The piece of a single item is shared and must not be changed; that
// of several is appended to buf.
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

// Control events, which have the reserved prefix "stream.".

type openData struct {
	Connection string `json:"connection"`
	Heartbeat  int64  `json:"heartbeat_ms"`
	Oldest     string `json:"oldest,omitempty"`
}

// retryTime is what a client waits before it connects again, unless told
// otherwise by a goodbye.
const retryTime = 3 * time.Second

// control returns the text of a control event. Data must have a JSON form.
func (f Framing) control(id eventlog.ID, event string, retry time.Duration, data any) []byte {
	text, err := json.Marshal(data)
	if err != nil {
		panic(err) // data is a type of this package
	}
	if f.quiet() {
		if retry <= 0 {
			return sseHeartbeat
		}
		return append(strconv.AppendInt([]byte("retry: "), retry.Milliseconds(), 10), "\n\n"...)
	}
	e := sse.Event{Type: event, Retry: retry, Data: text}
	if !id.IsZero() {
		e.ID = id.String()
	}
	return f.block(e)
}
