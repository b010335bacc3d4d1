package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/paylogic/pushserver/api/client"
)

// mostData is more than any server takes: reading on would be in vain.
const mostData = 1 << 20

type publishCommand struct {
	Server   serverFlags `embed:""`
	Merchant string      `help:"Who shall receive the event." required:"" placeholder:"NAME"`
	Type     string      `help:"What happened, such as payment.paid." required:"" placeholder:"TYPE"`
	Subject  string      `help:"What it happened to." placeholder:"SUBJECT"`
	ID       string      `name:"id" help:"The event's id: the same twice is one event. Made up if not given." placeholder:"ID"`
	Test     bool        `help:"Publish to the merchant's test log."`
	Data     string      `arg:"" help:"The event's data, in JSON; - reads standard input."`
}

// Run publishes the event and prints the server's answer.
func (p *publishCommand) Run(ctx context.Context, c *console) error {
	to, err := p.Server.client()
	if err != nil {
		return err
	}
	data, err := p.data(c.in)
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

// data returns the event's data as it was given.
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
