//go:build linux

package faults

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Readers parse the wire with code of their own. A mistake that they shared with the
// product would stay unseen.

// A wireHead is the head of a response to HTTP/1.1.
type wireHead struct {
	status  int
	headers map[string]string // by name in lower case
}

// parseHead returns the head at the beginning of b and what follows it, or false
// if it is not whole yet.
func parseHead(b []byte) (head wireHead, rest []byte, whole bool) {
	text, rest, whole := bytes.Cut(b, []byte("\r\n\r\n"))
	if !whole {
		return head, nil, false
	}
	lines := strings.Split(string(text), "\r\n")
	if words := strings.Fields(lines[0]); len(words) > 1 && words[0] == "HTTP/1.1" {
		head.status, _ = strconv.Atoi(words[1])
	}
	head.headers = make(map[string]string)
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		head.headers[strings.ToLower(name)] = strings.TrimSpace(value)
	}
	return head, rest, true
}

// A wireEvent is one dispatched block of an event stream.
type wireEvent struct {
	id    string // the last event id after the block
	hasID bool   // the block has one
	kind  string // empty: message
	data  string
	retry time.Duration // what the block asks for; negative: nothing
}

// A wireParser reads an event stream (HTML Standard, 9.2.6) byte by byte,
// however it is cut.
type wireParser struct {
	begun       bool // a byte order mark is now text
	line        []byte
	afterReturn bool // an LF now belongs to the line that is over

	hasID    bool
	lastID   string // of the last complete block, as in the standard
	idBuffer string // of the current block
	kind     string
	data     []string
	retry    time.Duration
	comments int
}

func newWireParser() *wireParser { return &wireParser{retry: -1} }

// feed reads the next bytes and calls emit with each event that they complete.
func (p *wireParser) feed(b []byte, emit func(wireEvent)) {
	for _, c := range b {
		if c == '\n' && p.afterReturn {
			p.afterReturn = false
			continue
		}
		p.afterReturn = c == '\r'
		if c != '\r' && c != '\n' {
			p.line = append(p.line, c)
			continue
		}
		line := string(p.line)
		p.line = p.line[:0]
		if !p.begun {
			line = strings.TrimPrefix(line, "\ufeff")
			p.begun = true
		}
		p.take(line, emit)
	}
}

func (p *wireParser) take(line string, emit func(wireEvent)) {
	switch {
	case line == "":
		p.dispatch(emit)
		return
	case line[0] == ':':
		p.comments++
		return
	}
	name, value, _ := strings.Cut(line, ":")
	value = strings.TrimPrefix(value, " ")
	switch name {
	case "id":
		if !strings.Contains(value, "\x00") {
			p.idBuffer, p.hasID = value, true
		}
	case "event":
		p.kind = value
	case "data":
		p.data = append(p.data, value)
	case "retry":
		if ms, err := strconv.ParseUint(value, 10, 31); err == nil && value[0] != '+' {
			p.retry = time.Duration(ms) * time.Millisecond
		}
	}
}

func (p *wireParser) dispatch(emit func(wireEvent)) {
	p.lastID = p.idBuffer
	e := wireEvent{p.lastID, p.hasID, p.kind, strings.Join(p.data, "\n"), p.retry}
	fires := len(p.data) > 0
	p.hasID, p.kind, p.data, p.retry = false, "", nil, -1
	if fires {
		emit(e)
	}
}

func TestFaultsWireParserReadsAStreamHoweverItIsCut(t *testing.T) {
	const stream = "\ufeff: hello\r\n\r\nid: 1\nevent: a.b\ndata: x\ndata:  y\n\n" +
		"id: 2\n\nretry: 12\rdata\r\r" + "id: 3\x00\ndata: z\n\n" + "id: 4\ndata: unfinished\n"
	want := []wireEvent{{"1", true, "a.b", "x\n y", -1}, {"2", false, "", "", 12 * time.Millisecond}, {"2", false, "", "z", -1}}
	for cut := range len(stream) + 1 {
		p := newWireParser()
		var got []wireEvent
		emit := func(e wireEvent) { got = append(got, e) }
		p.feed([]byte(stream[:cut]), emit)
		p.feed([]byte(stream[cut:]), emit)
		if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
			t.Fatalf("cut at %d: read %+v, want %+v", cut, got, want)
		}
		if p.lastID != "2" || p.comments != 1 {
			t.Errorf("cut at %d: the last id is %q after %d comments, want 2 after 1", cut, p.lastID, p.comments)
		}
	}
}
