package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/paylogic/pushserver/streams/sse"
)

const (
	// silence is the time without a byte after which a connection counts as lost:
	// some heartbeats.
	silence = 90 * time.Second
	// streamBackoff is the first wait before reconnecting, unless the server asks
	// for another.
	streamBackoff = time.Second
)

// A Feed says what to stream. The zero value is everything the key may see, from now
// on.
type Feed struct {
	Types    []string // patterns: "payment.*"
	Subject  string   // a pattern: "event/42/*"
	Filter   string   // an expression (CEL)
	After    string   // the position to resume after
	Since    string   // the start if After is empty: "10m", or a time (RFC 3339)
	Snapshot bool     // begin with the current state

	// Noticed is called for resets and lost connections; it may be nil.
	Noticed func(Notice)
}

// An Event is a delivered event.
type Event struct {
	Position string // to resume after; empty for a state of a snapshot
	Type     string
	Data     []byte // the CloudEvent, in JSON
}

// A Notice is a reset or a lost connection.
type Notice struct {
	// Reset says that events may be missing before the next one: discard any state
	// built from earlier events. It is the data of stream.reset.
	Reset json.RawMessage
	// Broken says why a connection ended, and Wait when the next one begins.
	Broken error
	Wait   time.Duration
}

// ErrEnded means that the server ended the stream permanently: the key was revoked,
// has expired or may no longer stream, or a client ended the stream.
var ErrEnded = errors.New("client: the server ended the stream permanently")

// Stream calls each with every event of a feed, in order and one at a time, over
// as many connections as it takes. It returns ctx's error when ctx is done, a
// [*Problem] that is not temporary, [ErrEnded], or the first error of each. If each
// fails for an event, resume after the previous event to receive it again.
func (c *Client) Stream(ctx context.Context, f Feed, each func(Event) error) error {
	r := &receiver{client: c, feed: f, position: f.After, wait: streamBackoff, each: each}
	for failures := 0; ; failures++ {
		connected, err := r.receive(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case forGood(err):
			var f errFinal
			if errors.As(err, &f) {
				return f.error
			}
			return err
		case connected:
			failures = 0
		}
		wait := backoff(failures, r.wait, err)
		if f.Noticed != nil {
			f.Noticed(Notice{Broken: err, Wait: wait})
		}
		if pause(ctx, wait) != nil {
			return ctx.Err()
		}
	}
}

// A receiver is the state that outlives a connection.
type receiver struct {
	client   *Client
	feed     Feed
	each     func(Event) error
	position string        // to resume after; empty: as the feed says
	wait     time.Duration // before reconnecting
}

// receive reads the events of one connection, and returns why it ended and whether
// the stream began.
func (r *receiver) receive(ctx context.Context) (connected bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := time.AfterFunc(silence, cancel)
	defer quiet.Stop()

	resp, err := r.connect(ctx)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	decoder := sse.NewDecoder(&watched{Reader: resp.Body, silence: quiet})
	for {
		event, err := decoder.Next()
		if wait, asked := decoder.Retry(); asked && wait > 0 {
			r.wait = wait
		}
		if err == nil {
			quiet.Stop() // the caller may take its time
			err = r.take(event)
			quiet.Reset(silence)
		}
		// Also at the end: a block without data moves the position, too.
		if id := decoder.LastEventID(); id != "" && !forGood(err) {
			r.position = id
		}
		switch {
		case err == io.EOF:
			return true, errors.New("the stream ended")
		case forGood(err):
			return true, err
		case err != nil:
			return true, fmt.Errorf("the stream broke off: %w", err)
		}
	}
}

func (r *receiver) connect(ctx context.Context) (*http.Response, error) {
	query := url.Values{}
	set := func(name, value string) {
		if value != "" {
			query.Set(name, value)
		}
	}
	set("types", strings.Join(r.feed.Types, ","))
	set("subject", r.feed.Subject)
	set("filter", r.feed.Filter)
	if r.position == "" {
		set("since", r.feed.Since)
		if r.feed.Snapshot {
			set("snapshot", "1")
		}
	}
	req, err := r.client.request(ctx, http.MethodGet, "/v1/stream", query, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/event-stream")
	if r.position != "" {
		req.Header.Set("Last-Event-ID", r.position)
	}
	resp, err := r.client.do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, readProblem(resp)
	}
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); media != "text/event-stream" {
		resp.Body.Close()
		return nil, final(fmt.Errorf("client: there is no event stream at URL: the answer is %q", media))
	}
	return resp, nil
}

// take delivers an event, or handles a stream.* event.
func (r *receiver) take(e sse.Event) error {
	name, own := strings.CutPrefix(e.Type, "stream.")
	if !own {
		if err := r.each(Event{Position: e.ID, Type: e.Type, Data: e.Data}); err != nil {
			return final(err)
		}
		return nil
	}
	switch name {
	case "reset":
		if r.feed.Noticed != nil {
			r.feed.Noticed(Notice{Reset: json.RawMessage(e.Data)})
		}
	case "goodbye":
		var goodbye struct {
			Reason    string `json:"reason"`
			Reconnect *bool  `json:"reconnect"`
		}
		if json.Unmarshal(e.Data, &goodbye) == nil && goodbye.Reconnect != nil && !*goodbye.Reconnect {
			return final(fmt.Errorf("%w: %s", ErrEnded, goodbye.Reason))
		}
	}
	return nil
}

// A watched reader restarts the silence timer with every byte.
type watched struct {
	io.Reader
	silence *time.Timer
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 {
		w.silence.Reset(silence)
	}
	return n, err
}
