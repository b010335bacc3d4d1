//go:build linux

package main

import (
	"bytes"
	"strconv"
	"sync/atomic"
	"time"
)

// began is what the times in markers count from.
var began = time.Now()

// A marker is at the end of each benchmark event's payload. It tells the reader
// which event it is.
type marker struct {
	step  uint32 // the measurement; events of others are not counted
	group uint32
	lane  uint32 // the publishing connection; order holds within one
	seq   uint32 // grows within a step
	sent  time.Duration
}

var steps atomic.Uint32

// nextStep returns a step that nothing was published in: with the same id an
// event would be a duplicate, also for the next server over the same Redis.
func nextStep() uint32 { return steps.Add(1) }

const (
	markerSign = '@' // is nowhere else in an event
	markerSize = 1 + 4 + 6 + 2 + 8 + 16
)

func (m marker) append(dst []byte) []byte {
	dst = append(dst, markerSign)
	dst = appendHex(dst, uint64(m.step), 4)
	dst = appendHex(dst, uint64(m.group), 6)
	dst = appendHex(dst, uint64(m.lane), 2)
	dst = appendHex(dst, uint64(m.seq), 8)
	return appendHex(dst, uint64(m.sent), 16)
}

func appendHex(dst []byte, v uint64, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[v>>shift&15])
	}
	return dst
}

// parseMarker reads the marker at the beginning of b, which has markerSize
// bytes.
func parseMarker(b []byte) marker {
	return marker{
		step:  uint32(parseHex(b[1:5])),
		group: uint32(parseHex(b[5:11])),
		lane:  uint32(parseHex(b[11:13])),
		seq:   uint32(parseHex(b[13:21])),
		sent:  time.Duration(parseHex(b[21:37])),
	}
}

func parseHex(b []byte) (v uint64) {
	for _, c := range b {
		d := uint64(c - '0')
		if c >= 'a' {
			d = uint64(c - 'a' + 10)
		}
		v = v<<4 | d&15
	}
	return v
}

// scan calls found for every marker in b and returns what a marker may have
// begun with at its end.
func scan(b []byte, found func(marker)) (rest []byte) {
	for {
		i := bytes.IndexByte(b, markerSign)
		if i < 0 {
			return nil
		}
		if b = b[i:]; len(b) < markerSize {
			return b
		}
		found(parseMarker(b))
		b = b[markerSize:]
	}
}

const eventType = "bench.event"

// appendEvent appends the CloudEvent that carries m, for merchant, with a
// payload of size bytes.
func appendEvent(dst []byte, merchant string, m marker, size int) []byte {
	dst = append(dst, `{"specversion":"1.0","id":"`...)
	dst = strconv.AppendInt(dst, began.UnixNano(), 36)
	for _, part := range [...]uint32{m.step, m.lane, m.seq} {
		dst = append(dst, '-')
		dst = strconv.AppendUint(dst, uint64(part), 36)
	}
	dst = append(dst, `","source":"/bench","type":"`+eventType+`","subject":"g/`...)
	dst = strconv.AppendUint(dst, uint64(m.group), 10)
	dst = append(dst, `","time":"2026-01-01T00:00:00.000Z","merchant":"`...)
	dst = append(dst, merchant...)
	dst = append(dst, `","data":"`...)
	for range size - markerSize {
		dst = append(dst, 'x')
	}
	dst = m.append(dst)
	return append(dst, `"}`...)
}
