package streams

import (
	"encoding/json"
	"math/rand/v2"
	"time"

	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
	"github.com/paylogic/pushserver/streams/sse"
)

// Control events have the reserved prefix "stream.".

const (
	// retryTime is what a client waits before it reconnects, unless a goodbye
	// says otherwise.
	retryTime = 3 * time.Second

	// pollRetry is what a client waits between two polls: little, because the
	// poll itself waits.
	pollRetry = retryTime / 6
)

// control returns the text of a control event. Data must have a JSON form.
func (f Framing) control(id eventlog.ID, event string, retry time.Duration, data any) []byte {
	text, err := json.Marshal(data)
	if err != nil {
		panic(err) // data is a type of this package
	}
	e := sse.Event{Type: event, Retry: retry, Data: text}
	if !id.IsZero() {
		e.ID = id.String()
	}
	if f.hides(event) {
		if e.ID == "" && retry <= 0 {
			return sseHeartbeat
		}
		e.Type, e.Data = "", nil // fires no event (HTML Standard, 9.2.6)
	}
	return f.block(e)
}

type openData struct {
	Connection string `json:"connection"`
	Heartbeat  int64  `json:"heartbeat_ms"`
	Oldest     string `json:"oldest,omitempty"`
}

// Why a client gets events later than they happen.
const (
	lagStorage = "storage" // the log cannot be read at the moment
	lagReader  = "reader"  // the client takes events more slowly than they come
)

// lag returns the text of stream.lag. The next event is at least as old as
// behind.
func (f Framing) lag(reason string, behind time.Duration) []byte {
	return f.control(eventlog.ID{}, "stream.lag", 0, struct {
		Reason string `json:"reason"`
		Behind int64  `json:"behind_ms"`
	}{reason, max(0, behind.Milliseconds())})
}

// A Goodbye is the last event of a stream that the gateway ends. It is also
// the cause of the end.
type Goodbye struct {
	Reason    string        // why, in a word: draining
	Reconnect bool          // whether it makes sense to come back
	Retry     time.Duration // how long to wait first
}

// Error says why the subscription ended.
func (g Goodbye) Error() string { return "streams: goodbye: " + g.Reason }

func (g Goodbye) text(f Framing) []byte {
	return f.control(eventlog.ID{}, "stream.goodbye", g.Retry, struct {
		Reason    string `json:"reason"`
		Reconnect bool   `json:"reconnect"`
		Retry     int64  `json:"retry_ms"`
	}{g.Reason, g.Reconnect, g.Retry.Milliseconds()})
}

// jitter returns a random time less than spread.
func jitter(spread time.Duration) time.Duration {
	if spread <= 0 {
		return 0
	}
	return rand.N(spread)
}

// A command is what a subscription says or does between two events.
type command struct {
	text   []byte         // a control event
	filter *filter.Filter // replaces the subscription's filter; nil: keep it
	next   *command
}

// commands are a queue of them. It is a list because nearly every subscription
// has none, and a nil pointer is all that it costs.
type commands struct{ first *command }

func (q *commands) empty() bool { return q.first == nil }

func (q *commands) push(c command) {
	last := &q.first
	for *last != nil {
		last = &(*last).next
	}
	*last = &c
}

// pop returns the oldest command, or nil.
func (q *commands) pop() *command {
	c := q.first
	if c != nil {
		q.first = c.next
	}
	return c
}
