package sse

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"time"
)

// ErrTooLarge reports a line or an event over the limit of the [Decoder].
var ErrTooLarge = errors.New("sse: event is too large")

// DefaultMaxSize is the size limit in bytes of a [Decoder] that sets none.
const DefaultMaxSize = 1 << 20

// A Decoder reads events from a stream as section 9.2.6 of the HTML Standard
// prescribes, with one difference: it returns bytes that are not UTF-8
// unchanged, not as U+FFFD.
//
// Set its fields before the first call of Next.
type Decoder struct {
	// MaxSize limits the bytes of each line, and of each event's data;
	// DefaultMaxSize if zero.
	MaxSize int

	// Comment, if set, is called by Next with the text of each comment, without
	// one leading space. Heartbeats are comments.
	Comment func(text string)

	r     *bufio.Reader
	line  []byte // the current line, if it spans reads
	begun bool   // the first line was read
	inCR  bool   // the last line ended with CR: a following LF belongs to it
	err   error

	block  Event
	hasID  bool   // whether nextID is set
	nextID string // the standard's last event ID buffer: becomes lastID at the end of the block
	lastID string

	retry    time.Duration
	hasRetry bool
}

// NewDecoder returns a Decoder that reads from r through a buffer.
func NewDecoder(r io.Reader) *Decoder {
	return &Decoder{r: bufio.NewReader(r)}
}

// Next returns the next event that a browser would deliver. Its ID is the last
// event ID at that point, from this event or an earlier one. Its Type is
// "message" if the stream names none. Its Retry is that of its own block. Its
// Data belongs to the caller and is never nil.
//
// Next returns an event as soon as its last line is there. After the last event
// it returns the reader's error (io.EOF at the end) or [ErrTooLarge]. It drops
// a block that is cut off by the end of the stream, with its data and its id.
func (d *Decoder) Next() (Event, error) {
	for d.err == nil {
		var line []byte
		line, d.err = d.readLine()
		if d.err != nil {
			break
		}
		if len(line) > 0 {
			d.field(line)
			continue
		}
		if event, ok := d.dispatch(); ok {
			return event, nil
		}
	}
	return Event{}, d.err
}

// LastEventID returns the position to resume from: the id of the last complete
// block with an id, even if the block had no data.
func (d *Decoder) LastEventID() string { return d.lastID }

// Retry returns the reconnection time that the stream last set, and whether it
// set one.
func (d *Decoder) Retry() (wait time.Duration, asked bool) { return d.retry, d.hasRetry }

// dispatch ends a block. It returns the block's event if there is data.
func (d *Decoder) dispatch() (Event, bool) {
	event := d.block
	d.block = Event{}
	if d.hasID {
		d.lastID, d.hasID = d.nextID, false
	}
	if event.Data == nil {
		return Event{}, false
	}
	event.ID = d.lastID
	if event.Type == "" {
		event.Type = "message"
	}
	return event, true
}

func (d *Decoder) field(line []byte) {
	name, value, _ := bytes.Cut(line, []byte{':'})
	value = bytes.TrimPrefix(value, []byte{' '})
	switch string(name) {
	case "":
		if d.Comment != nil {
			d.Comment(string(value))
		}
	case "data":
		d.data(value)
	case "event":
		d.block.Type = string(value)
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			d.nextID, d.hasID = string(value), true
		}
	case "retry":
		if wait, ok := parseRetry(value); ok {
			d.retry, d.hasRetry = wait, true
			d.block.Retry = wait
		}
	}
}

func (d *Decoder) data(value []byte) {
	if d.block.Data == nil {
		d.block.Data = make([]byte, 0, len(value))
	} else {
		d.block.Data = append(d.block.Data, '\n')
	}
	d.block.Data = append(d.block.Data, value...)
	if len(d.block.Data) > d.maxSize() {
		d.err = ErrTooLarge
	}
}

// parseRetry accepts ASCII digits only. A number that overflows becomes the
// longest Duration.
func parseRetry(value []byte) (time.Duration, bool) {
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	if len(value) == 0 {
		return 0, false
	}
	const most = math.MaxInt64 / int64(time.Millisecond)
	ms, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || ms > most {
		return math.MaxInt64, true
	}
	return time.Duration(ms) * time.Millisecond, true
}

// readLine returns the next complete line without its end, valid until the next
// call.
func (d *Decoder) readLine() ([]byte, error) {
	d.line = d.line[:0]
	for {
		if _, err := d.r.Peek(1); err != nil {
			return nil, err
		}
		chunk, _ := d.r.Peek(d.r.Buffered())
		if d.inCR {
			d.inCR = false
			if chunk[0] == '\n' {
				d.r.Discard(1)
				continue
			}
		}
		end := bytes.IndexAny(chunk, "\r\n")
		text := chunk
		if end >= 0 {
			text = chunk[:end]
		}
		if len(d.line)+len(text) > d.maxSize() {
			return nil, ErrTooLarge
		}
		d.line = append(d.line, text...)
		if end >= 0 {
			d.inCR = chunk[end] == '\r'
			d.r.Discard(end + 1)
			return d.withoutBOM(d.line), nil
		}
		d.r.Discard(len(chunk))
	}
}

func (d *Decoder) withoutBOM(line []byte) []byte {
	if d.begun {
		return line
	}
	d.begun = true
	return bytes.TrimPrefix(line, []byte("\ufeff"))
}

func (d *Decoder) maxSize() int {
	if d.MaxSize > 0 {
		return d.MaxSize
	}
	return DefaultMaxSize
}
