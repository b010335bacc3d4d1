package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/paylogic/pushserver/api/client"
)

// forwardLimit bounds a handler's time for one event.
const forwardLimit = 30 * time.Second

type listenCommand struct {
	Server      serverFlags `embed:""`
	Types       []string    `help:"Only events of these types, such as payment.*." placeholder:"TYPE"`
	Subject     string      `help:"Only events about these things, such as event/42/*." placeholder:"SUBJECT"`
	Filter      string      `help:"Only events for which this expression (CEL) is true." placeholder:"EXPR"`
	Since       string      `help:"Start in the past: a duration ago (10m, 7d) or at a time (RFC 3339)." placeholder:"WHEN"`
	LastEventID string      `name:"last-event-id" help:"Resume after this event." placeholder:"ID"`
	ForwardTo   string      `name:"forward-to" help:"Also post each event to this address, and print its answer." placeholder:"URL"`
	JSON        bool        `name:"json" help:"Print each event as one line of JSON."`
}

// Run prints events until ctx is done or the server refuses for good.
func (l *listenCommand) Run(ctx context.Context, c *console) error {
	from, err := l.Server.client()
	if err != nil {
		return err
	}
	if u, err := url.Parse(l.ForwardTo); l.ForwardTo != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("--forward-to must be like http://127.0.0.1:3000/events")
	}
	err = from.Stream(ctx, client.Feed{
		Types: l.Types, Subject: l.Subject, Filter: l.Filter, Since: l.Since, After: l.LastEventID,
		Noticed: func(n client.Notice) {
			if n.Reset != nil {
				fmt.Fprintf(c.err, "pushserver: stream.reset: events may be missing before the next one: %s\n", n.Reset)
				return
			}
			fmt.Fprintf(c.err, "pushserver: %v; reconnecting in %s\n", n.Broken, n.Wait.Round(100*time.Millisecond))
		},
	}, func(e client.Event) error {
		if err := l.print(c, e); err != nil {
			return err
		}
		if l.ForwardTo != "" {
			l.forward(ctx, c, e)
		}
		return nil
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (l *listenCommand) print(c *console, e client.Event) error {
	if !l.JSON {
		_, err := fmt.Fprintf(c.out, "%s  %s  %s\n", e.Position, e.Type, e.Data)
		return err
	}
	data := json.RawMessage(e.Data)
	if !json.Valid(data) {
		var err error
		if data, err = json.Marshal(string(e.Data)); err != nil {
			return err
		}
	}
	return printJSON(c.out, struct {
		ID    string          `json:"id"`
		Event string          `json:"event"`
		Data  json.RawMessage `json:"data"`
	}{e.Position, e.Type, data})
}

// forward posts an event to a handler as a CloudEvent. It prints the handler's
// answer; a failure does not hold up later events.
func (l *listenCommand) forward(ctx context.Context, c *console, e client.Event) {
	ctx, cancel := context.WithTimeout(ctx, forwardLimit)
	defer cancel()
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.ForwardTo, bytes.NewReader(e.Data))
	if err != nil {
		fmt.Fprintf(c.err, "pushserver: forward %s: %v\n", e.Position, err)
		return
	}
	req.Header.Set("Content-Type", "application/cloudevents+json")
	resp, err := http.DefaultClient.Do(req)
	took := time.Since(began).Round(time.Millisecond)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		fmt.Fprintf(c.err, "pushserver: forward %s: no answer after %s: %v\n", e.Position, took, err)
		return
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, mostData)) // so that the connection can be reused
	resp.Body.Close()
	fmt.Fprintf(c.err, "pushserver: forward %s: %s in %s\n", e.Position, resp.Status, took)
}
