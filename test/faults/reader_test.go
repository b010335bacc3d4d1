//go:build linux

package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// A part of a merchant's feed: how a reader asks for it, and which events it has.
type part struct {
	query url.Values
	sees  func(fact) bool
}

// The three parts that the readers of a trial ask for.
var parts = []part{
	{url.Values{}, func(fact) bool { return true }},
	{url.Values{"types": {"payment.paid," + stateType}}, func(f fact) bool { return f.Type != "payment.failed" }},
	{url.Values{"filter": {"data.amount >= 500"}}, func(f fact) bool { return f.Amount >= 500 }},
}

const (
	// silenceLimit is how long an open stream may be silent, with a heartbeat
	// every second, before its reader gives it up.
	silenceLimit = 10 * time.Second
	// answerLimit is how long a gateway may take to begin a response.
	answerLimit = 10 * time.Second
)

// A reader reads a part of a merchant's feed until the last event, over raw sockets
// and any number of connections. It notes everything that it sees.
type reader struct {
	readerLog

	name, merchant, key string
	part                part
	instances           []*instance
	inQuery             bool       // it resumes by the query, not by the header
	restless            *rand.Rand // when to drop the connection; nil: never
	obeys               bool       // it obeys retry, and does not come back at once
	slow                *slowness  // nil: it reads at once

	turn     int // modulo the number of instances, the next instance
	cursor   string
	retry    time.Duration
	opened   chan struct{} // closed when it was let in for the first time
	last     string        // the id of the last event
	finished atomic.Bool
	isOpen   bool
}

// read returns when the last event has come, or ctx is done.
func (r *reader) read(ctx context.Context) {
	for ctx.Err() == nil && !r.finished.Load() {
		instance := r.turn % len(r.instances)
		r.turn++
		err := r.connect(ctx, instance)
		r.note(note{What: noteEnded, Instance: instance, Text: fmt.Sprint(err)})
		if r.finished.Load() {
			return
		}
		wait := time.Duration(20+rand.IntN(80)) * time.Millisecond
		if r.obeys {
			wait = r.retry
		}
		_ = pause(ctx, wait)
	}
}

// request returns a request for what follows the cursor.
func (r *reader) request() []byte {
	query := url.Values{"conflate": {"off"}} // the oracle counts all events
	for name, values := range r.part.query {
		query[name] = values
	}
	var b strings.Builder
	if r.cursor != "" && r.inQuery {
		query.Set("last_event_id", r.cursor)
	}
	fmt.Fprintf(&b, "GET /v1/stream?%s HTTP/1.1\r\nHost: stand\r\nAuthorization: Bearer %s\r\nAccept: text/event-stream\r\nConnection: close\r\n", query.Encode(), r.key)
	if r.cursor != "" && !r.inQuery {
		fmt.Fprintf(&b, "Last-Event-ID: %s\r\n", r.cursor)
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

// connect reads one connection to its end and says why it ended.
func (r *reader) connect(ctx context.Context, instance int) error {
	conn, err := r.instances[instance].dial(ctx, r.slow.buffer())
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if r.restless != nil {
		drop := time.AfterFunc(time.Duration(300+r.restless.IntN(1200))*time.Millisecond, func() { conn.Close() })
		defer drop.Stop()
	}
	w := tapped{TCPConn: conn, search: canarySearch{owner: r.merchant}}
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.leaked = append(r.leaked, w.search.leaked...)
		r.silence = max(r.silence, w.silence)
	}()
	_ = conn.SetDeadline(time.Now().Add(answerLimit))
	if _, err := conn.Write(r.request()); err != nil {
		return err
	}
	head, rest, err := readHead(&w)
	if err != nil {
		return err
	}
	if head.status != 200 {
		body, err := io.ReadAll(&w)
		r.note(note{What: noteOpened, Instance: instance, Status: head.status, Position: r.cursor, Text: string(append(rest, body...))})
		return errors.Join(fmt.Errorf("refused with %d", head.status), err)
	}
	r.note(note{What: noteOpened, Instance: instance, Status: 200, Position: r.cursor})
	return r.follow(ctx, &w, instance, rest)
}

// follow reads an event stream that begins with the bytes given.
func (r *reader) follow(ctx context.Context, w *tapped, instance int, piece []byte) error {
	w.silence = 0 // the wait for the response does not count
	parser := newWireParser()
	parser.idBuffer = r.cursor // a client goes on with the last id it had
	var chunk [16 << 10]byte
	for {
		parser.feed(piece, func(e wireEvent) { r.take(instance, e) })
		if parser.lastID != "" {
			r.cursor = parser.lastID
		}
		if r.finished.Load() {
			return nil
		}
		r.slow.digest(ctx, len(piece))
		_ = w.SetReadDeadline(time.Now().Add(silenceLimit))
		n, err := w.Read(chunk[:r.slow.gulp(len(chunk))])
		switch piece = chunk[:n]; {
		case n > 0: // an error comes again
		case errors.Is(err, os.ErrDeadlineExceeded):
			return errors.New("silent")
		case errors.Is(err, io.EOF):
			return errors.New("the end")
		case err != nil:
			return err
		}
	}
}

// A tapped connection searches all bytes and measures the longest silence.
type tapped struct {
	*net.TCPConn
	search  canarySearch
	silence time.Duration
}

// Read implements [io.Reader].
func (w *tapped) Read(p []byte) (int, error) {
	asked := time.Now()
	n, err := w.TCPConn.Read(p)
	w.silence = max(w.silence, time.Since(asked))
	w.search.look(p[:n])
	return n, err
}

// readHead reads the head of a response and what came with it.
func readHead(from io.Reader) (head wireHead, rest []byte, err error) {
	var begun []byte
	var chunk [4 << 10]byte
	for {
		n, err := from.Read(chunk[:])
		begun = append(begun, chunk[:n]...)
		if head, rest, whole := parseHead(begun); whole {
			return head, rest, nil
		}
		if err != nil {
			return head, nil, fmt.Errorf("no response: %w", err)
		}
	}
}

// take looks at one event of a stream.
func (r *reader) take(instance int, e wireEvent) {
	n := note{What: noteStream, Instance: instance, Position: e.id, Type: e.kind, Retry: e.retry, Text: e.data}
	if e.retry >= 0 {
		r.retry = e.retry
	}
	if strings.HasPrefix(e.kind, "stream.") {
		if !e.hasID {
			n.Position = "" // the client's own position says nothing about the log
		}
		r.note(n)
		if e.kind == "stream.open" && !r.isOpen {
			r.isOpen = true
			close(r.opened)
		}
		return
	}
	var body struct {
		ID   string          `json:"id"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal([]byte(e.data), &body); err != nil {
		n.Text = err.Error()
	}
	n.What, n.ID, n.Sum, n.Text = noteEvent, body.ID, sumOf(body.Data), ""
	if !e.hasID {
		n.What, n.Position = noteState, ""
	}
	r.note(n)
	if body.ID == r.last {
		r.cursor = e.id
		r.finished.Store(true)
	}
}
