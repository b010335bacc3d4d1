package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	publishAttempts = 5
	publishBackoff  = 200 * time.Millisecond
	publishLimit    = 15 * time.Second // for each attempt
)

// A Publication is an event to publish.
type Publication struct {
	Merchant string
	Type     string // "payment.succeeded"
	Subject  string // may be empty
	ID       string // the same id twice is one event; generated if empty
	Test     bool   // for the merchant's test log
	Data     json.RawMessage
}

// A Receipt says where an event was stored.
type Receipt struct {
	ID         string `json:"id"`
	Position   string `json:"position"`
	Merchant   string `json:"merchant"`
	Durability string `json:"durability"`
	Duplicate  bool   `json:"duplicate,omitempty"` // it was stored before
}

// Publish publishes an event. After a temporary failure it retries a few times with
// the same id, so that the event is published at most once. After a temporary
// [*Problem], or another error, the event may or may not have been published.
func (c *Client) Publish(ctx context.Context, p Publication) (Receipt, error) {
	body, err := p.encode()
	if err != nil {
		return Receipt{}, err
	}
	for failures := 0; ; failures++ {
		var r Receipt
		limited, cancel := context.WithTimeout(ctx, publishLimit)
		err := c.send(limited, http.MethodPost, "/v1/events", nil, body, &r)
		cancel()
		if err == nil || forGood(err) || failures+1 == publishAttempts {
			return r, err
		}
		if pause(ctx, backoff(failures, publishBackoff, err)) != nil {
			return Receipt{}, fmt.Errorf("client: the event may or may not have been published: %w", ctx.Err())
		}
	}
}

// encode returns the event in the short form. Its data stays as it is, byte for
// byte.
func (p *Publication) encode() ([]byte, error) {
	if !json.Valid(p.Data) {
		return nil, errors.New("client: Data must be JSON")
	}
	id := p.ID
	if id == "" {
		id = rand.Text()
	}
	var live *bool
	if p.Test {
		live = new(bool)
	}
	head, err := json.Marshal(struct {
		Merchant string `json:"merchant"`
		Type     string `json:"type"`
		Subject  string `json:"subject,omitempty"`
		ID       string `json:"id"`
		LiveMode *bool  `json:"livemode,omitempty"`
	}{p.Merchant, p.Type, p.Subject, id, live})
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	// Joined by hand: an encoder would rewrite the data.
	return fmt.Appendf(head[:len(head)-1], `,"data":%s}`, p.Data), nil
}
