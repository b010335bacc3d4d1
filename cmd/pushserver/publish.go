package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/paylogic/pushserver/api/client"
)

// mostData is more than any server accepts.
const mostData = 1 << 20

type publishCommand struct {
	URL      string     `name:"url" help:"URL of the server." default:"http://127.0.0.1:8080" env:"PUSHSERVER_URL"`
	Key      string     `help:"A publisher's key; not with --redis." placeholder:"KEY" env:"PUSHSERVER_KEY"`
	Redis    redisFlags `embed:""`
	Merchant string     `help:"Merchant that receives the event." required:"" placeholder:"NAME"`
	Type     string     `help:"What happened, such as payment.succeeded." required:"" placeholder:"TYPE"`
	Subject  string     `help:"What it happened to." placeholder:"SUBJECT"`
	ID       string     `name:"id" help:"The event's id; the same id twice is one event. Generated if not given." placeholder:"ID"`
	Test     bool       `help:"Publish to the merchant's test log."`
	Data     string     `arg:"" help:"The event's data, in JSON; - reads standard input."`
}

// Run publishes the event and prints the server's answer.
func (p *publishCommand) Run(ctx context.Context, c *console) error {
	data, err := p.data(c.in)
	if err != nil {
		return err
	}
	if len(p.Redis.Redis) > 0 {
		return p.post(ctx, c, data)
	}
	server := serverFlags{URL: p.URL, Key: p.Key}
	to, err := server.client()
	if err != nil {
		return err
	}
	receipt, err := to.Publish(ctx, client.Publication{
		Merchant: p.Merchant, Type: p.Type, Subject: p.Subject, ID: p.ID, Test: p.Test, Data: data,
	})
	if ctx.Err() != nil {
		return errors.New("interrupted: the event may or may not have been published")
	}
	if err != nil {
		return err
	}
	return printJSON(c.out, receipt)
}

// post adds the event to the inbox in Redis, for a gateway to take.
func (p *publishCommand) post(ctx context.Context, c *console, data json.RawMessage) error {
	log, err := p.Redis.openLog(ctx, c)
	if err != nil {
		return err
	}
	defer log.Close()
	fields := map[string]string{"merchant": p.Merchant, "type": p.Type, "data": string(data)}
	for name, value := range map[string]string{"subject": p.Subject, "id": p.ID} {
		if value != "" {
			fields[name] = value
		}
	}
	if p.Test {
		fields["livemode"] = "false"
	}
	id, err := log.PostInbox(ctx, fields)
	if err != nil {
		return err
	}
	return printJSON(c.out, map[string]string{"inbox_id": id})
}

// data returns the event's data as given.
func (p *publishCommand) data(in io.Reader) (json.RawMessage, error) {
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
	return data, nil
}
