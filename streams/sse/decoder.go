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

// ErrTooLarge is returned for an event, or a single line, over the bound of the
// [Decoder].
var ErrTooLarge = errors.New("sse: event is too large")

// DefaultMaxSize is the bound on an event's size in a [Decoder] that sets none.
const DefaultMaxSize = 1 << 20

// A Decoder reads events from a stream as section 9.2.6 of the HTML Standard
// has a browser do it, with one difference: bytes that are not UTF-8 arrive as
// they were sent, not as U+FFFD.
//
// Its fields are set before the first call of Next.
type Decoder struct {
	// MaxSize bounds each line, and each event's data: DefaultMaxSize if zero.
	MaxSize int

	// Comment, if set, is called by Next with the text of each comment, less
	// one leading space: heartbeats are seen by it.
	Comment func(text string)

	r     *bufio.Reader
	line  []byte // the line being read, where it spans reads
	begun bool   // the first line was read
	inCR  bool   // the last line ended with CR: an LF that follows belongs to it
	err   error

	block  Event
	hasID  bool   // whether nextID is set
	nextID string // the last event ID buffer of the standard: becomes lastID when the block ends
	lastID string

	retry    time.Duration
	hasRetry bool
}

// NewDecoder returns a Decoder that reads from r, which it buffers.
func NewDecoder(r io.Reader) *Decoder {
	return &Decoder{r: bufio.NewReader(r)}
}

// Next returns the next event that a browser would deliver. Its ID is the last
// event ID at that point, given by this event or an earlier one; its Type is
// "message" if the stream names none; its Retry is what its own block said; its
// Data is the caller's to keep, and never nil.
//
// It returns an event as soon as the line that ends it is there, and the error
// of the reader (io.EOF at the end) or [ErrTooLarge] when there are no more. A
// block that the end of the stream cuts off is dropped: neither its data nor its
// id counts.
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
// block that had one, also of one that delivered nothing.
func (d *Decoder) LastEventID() string { return d.lastID }

// Retry returns how long the stream last asked its client to wait before it
// connects again, and whether it did.
func (d *Decoder) Retry() (wait time.Duration, asked bool) { return d.retry, d.hasRetry }

// dispatch ends a block, and returns its event if it has data.
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

// parseRetry accepts ASCII digits alone. More of them than a Duration can hold
// are the longest Duration.
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

// readLine returns the next complete line without its end. It is valid until
// the next call.
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

// withoutBOM takes a byte order mark off the first line of the stream.
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
