// Package sse writes and reads the text/event-stream format of the HTML
// Standard, section 9.2.
//
// [Event.Append] writes. [Decoder] reads as a browser's EventSource does, for
// tests and for programs that consume a stream.
package sse

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// An Event is one block of a stream. Zero fields are not written.
type Event struct {
	ID    string        // the position to resume from
	Type  string        // the event name for listeners; "message" if empty
	Retry time.Duration // the reconnection time, in whole milliseconds
	Data  []byte        // nil: the client delivers nothing, but moves its position
}

// Append appends the event to dst as one block and returns the extended slice.
// The fields are in the order id, event, retry, data, followed by an empty
// line. It allocates only if dst is too small.
//
// Each CR, LF or CRLF in Data ends a line, and arrives as LF. No field can
// forge another: Append omits CR, LF and NUL from ID and Type, where the format
// cannot carry them. Callers that want an error must check earlier.
func (e Event) Append(dst []byte) []byte {
	dst = appendField(dst, "id: ", e.ID)
	dst = appendField(dst, "event: ", e.Type)
	if ms := e.Retry.Milliseconds(); ms > 0 {
		dst = append(dst, "retry: "...)
		dst = strconv.AppendInt(dst, ms, 10)
		dst = append(dst, '\n')
	}
	if e.Data != nil {
		dst = appendLines(dst, "data: ", e.Data)
	}
	return append(dst, '\n')
}

func appendField(dst []byte, label, value string) []byte {
	if strings.ContainsAny(value, "\r\n\x00") {
		value = strings.NewReplacer("\r", "", "\n", "", "\x00", "").Replace(value)
	}
	if value == "" {
		return dst
	}
	dst = append(dst, label...)
	dst = append(dst, value...)
	return append(dst, '\n')
}

func appendLines[T string | []byte](dst []byte, label string, text T) []byte {
	dst = append(dst, label...)
	start := len(dst)
	dst = append(dst, text...)
	// Most data is one line: two searches prove it.
	if body := dst[start:]; bytes.IndexByte(body, '\n') < 0 && bytes.IndexByte(body, '\r') < 0 {
		return append(dst, '\n')
	}
	dst = dst[:start]
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\r' && i+1 < len(text) && text[i+1] == '\n':
			// The LF that follows ends the line.
		case c == '\r' || c == '\n':
			dst = append(dst, '\n')
			dst = append(dst, label...)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '\n')
}
