package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	// publishAttempts is how often an event is sent at most.
	publishAttempts = 5
	// publishBackoff is the first wait between two.
	publishBackoff = 200 * time.Millisecond
	// mostData is more than any server takes: reading on would be in vain.
	mostData = 1 << 20
)

type publishCommand struct {
	Server   serverFlags `embed:""`
	Merchant string      `help:"Who shall receive the event." required:"" placeholder:"NAME"`
	Type     string      `help:"What happened, such as payment.paid." required:"" placeholder:"TYPE"`
	Subject  string      `help:"What it happened to." placeholder:"SUBJECT"`
	ID       string      `name:"id" help:"The event's id: the same twice is one event. Made up if not given." placeholder:"ID"`
	Data     string      `arg:"" help:"The event's data, in JSON; - reads standard input."`
}

// Run publishes the event and prints the server's answer.
func (p *publishCommand) Run(ctx context.Context, c *console) error {
	address, err := p.Server.endpoint("v1/events", nil)
	if err != nil {
		return err
	}
	body, err := p.body(c.in)
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: 15 * time.Second}
	for failures := 0; ; failures++ {
		answer, err := p.send(ctx, client, address, body)
		if err == nil {
			_, err = fmt.Fprintf(c.out, "%s\n", bytes.TrimSpace(answer))
			return err
		}
		var r *refusal
		if errors.As(err, &r) && !r.passing() || failures+1 == publishAttempts {
			return err
		}
		if err := pause(ctx, backoff(failures, publishBackoff, err)); err != nil {
			return errors.New("interrupted: the event may or may not have been published")
		}
	}
}

// body returns the event in the short form. It has an id in any case, with
// which it can be sent again without being published twice.
func (p *publishCommand) body(in io.Reader) ([]byte, error) {
	data := []byte(p.Data)
	if p.Data == "-" {
		var err error
		if data, err = io.ReadAll(io.LimitReader(in, mostData+1)); err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
	}
	if len(data) > mostData {
		return nil, errors.New("DATA is too large")
	}
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil {
		return nil, fmt.Errorf(`DATA must be JSON, such as '{"amount":4200}' or '"some text"': %w`, err)
	}
	if p.ID == "" {
		p.ID = rand.Text()
	}
	head, err := json.Marshal(struct {
		Merchant string `json:"merchant"`
		Type     string `json:"type"`
		Subject  string `json:"subject,omitempty"`
		ID       string `json:"id"`
	}{p.Merchant, p.Type, p.Subject, p.ID})
	if err != nil {
		return nil, err
	}
	// Joined by hand: an encoder would rewrite the data.
	return fmt.Appendf(head[:len(head)-1], `,"data":%s}`, data), nil
}

func (p *publishCommand) send(ctx context.Context, client *http.Client, address string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+p.Server.Key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, plainly(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return nil, readRefusal(resp)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, mostData))
	if err != nil {
		return nil, plainly(err)
	}
	return answer, nil
}
