package main

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
	// listenSilence is after how long without a byte a connection is given up:
	// some heartbeats.
	listenSilence = 90 * time.Second
	// listenBackoff is the first wait before connecting again, unless the
	// server says otherwise.
	listenBackoff = time.Second
)

type listenCommand struct {
	Server      serverFlags `embed:""`
	Types       []string    `help:"Only events of these types, such as payment.*." placeholder:"TYPE"`
	Subject     string      `help:"Only events about these things, such as event/42/*." placeholder:"SUBJECT"`
	Filter      string      `help:"Only events for which this expression (CEL) is true." placeholder:"EXPR"`
	Since       string      `help:"Begin in the past: how long ago (10m, 7d) or at a time (RFC 3339)." placeholder:"WHEN"`
	LastEventID string      `name:"last-event-id" help:"Go on after this event." placeholder:"ID"`
	JSON        bool        `name:"json" help:"Print each event as one line of JSON."`
}

// errFinal wraps what no further attempt can change.
var errFinal = errors.New("")

// Run prints events until ctx is done or the server refuses for good.
func (l *listenCommand) Run(ctx context.Context, c *console) error {
	r := &receiver{command: l, console: c, position: l.LastEventID, wait: listenBackoff}
	for failures := 0; ; failures++ {
		connected, err := r.receive(ctx)
		var refused *refusal
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &refused) && !refused.passing(), errors.Is(err, errFinal):
			return err
		case connected:
			failures = 0
		}
		wait := backoff(failures, r.wait, err)
		fmt.Fprintf(c.err, "pushserver: %v; connecting again in %s\n", err, wait.Round(100*time.Millisecond))
		if pause(ctx, wait) != nil {
			return nil
		}
	}
}

// A receiver is what outlives a connection.
type receiver struct {
	command  *listenCommand
	console  *console
	position string        // after which to go on; empty: as the command says
	wait     time.Duration // before connecting again
}

// receive prints the events of one connection, and returns why it ended and
// whether it was a stream at all.
func (r *receiver) receive(ctx context.Context) (connected bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(listenSilence, cancel)
	defer silence.Stop()

	resp, err := r.connect(ctx)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	decoder := sse.NewDecoder(&watched{Reader: resp.Body, silence: silence})
	for {
		event, err := decoder.Next()
		// Also at the end: a block without data moves the position, too.
		if id := decoder.LastEventID(); id != "" {
			r.position = id
		}
		if wait, asked := decoder.Retry(); asked && wait > 0 {
			r.wait = wait
		}
		if err == io.EOF {
			return true, errors.New("the stream ended")
		}
		if err != nil {
			return true, fmt.Errorf("the stream broke off: %w", err)
		}
		if err := r.take(event); err != nil {
			return true, err
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
	set("types", strings.Join(r.command.Types, ","))
	set("subject", r.command.Subject)
	set("filter", r.command.Filter)
	if r.position == "" {
		set("since", r.command.Since)
	}
	address, err := r.command.Server.endpoint("v1/stream", query)
	if err != nil {
		return nil, fmt.Errorf("%w%w", errFinal, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("%w%w", errFinal, err)
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Authorization", "Bearer "+r.command.Server.Key)
	if r.position != "" {
		req.Header.Set("Last-Event-ID", r.position)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, plainly(err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, readRefusal(resp)
	}
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); media != "text/event-stream" {
		resp.Body.Close()
		return nil, fmt.Errorf("%wno event stream is at --url: the answer is %q", errFinal, media)
	}
	return resp, nil
}

// take prints an event, or acts on one of the stream's own.
func (r *receiver) take(e sse.Event) error {
	name, own := strings.CutPrefix(e.Type, "stream.")
	if !own {
		return r.print(e)
	}
	switch name {
	case "reset":
		fmt.Fprintf(r.console.err, "pushserver: stream.reset: events may be missing before the next one: %s\n", e.Data)
	case "goodbye":
		var goodbye struct {
			Reason    string `json:"reason"`
			Reconnect *bool  `json:"reconnect"`
		}
		if json.Unmarshal(e.Data, &goodbye) == nil && goodbye.Reconnect != nil && !*goodbye.Reconnect {
			return fmt.Errorf("%wthe server ended the stream for good: %s", errFinal, goodbye.Reason)
		}
	}
	return nil
}

func (r *receiver) print(e sse.Event) error {
	var err error
	if r.command.JSON {
		data := json.RawMessage(e.Data)
		if !json.Valid(data) {
			if data, err = json.Marshal(string(e.Data)); err != nil {
				return err
			}
		}
		err = printJSON(r.console.out, struct {
			ID    string          `json:"id"`
			Event string          `json:"event"`
			Data  json.RawMessage `json:"data"`
		}{e.ID, e.Type, data})
	} else {
		_, err = fmt.Fprintf(r.console.out, "%s  %s  %s\n", e.ID, e.Type, e.Data)
	}
	if err != nil {
		return fmt.Errorf("%w%w", errFinal, err)
	}
	return nil
}

// A watched reader puts off the end of a silent connection with every byte.
type watched struct {
	io.Reader
	silence *time.Timer
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 {
		w.silence.Reset(listenSilence)
	}
	return n, err
}
