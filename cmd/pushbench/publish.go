//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	singlePublishers = 64
	batchPublishers  = 8
	batchSize        = 100
)

// publish measures how many events are acknowledged, one by one and in batches.
// No client reads them. Each connection publishes for a merchant of its own, if
// there are as many.
func (m *measureCommand) publish(ctx context.Context, s *server) ([]figure, error) {
	single, cpu, err := m.flood(ctx, s, singlePublishers, 1)
	if err != nil {
		return nil, err
	}
	figures := []figure{
		{"acknowledged, single", "/s", single, ">= 8000"},
		{"cpu, single", "us", cpu, ""},
	}
	if s.publisher == noKey {
		return figures, nil // the references take no batches
	}
	batched, cpu, err := m.flood(ctx, s, batchPublishers, batchSize)
	return append(figures,
		figure{"acknowledged, batches of 100", "/s", batched, ">= 25000"},
		figure{"cpu, batches of 100", "us", cpu, ""}), err
}

// flood publishes with no pause and returns how many events a second were
// acknowledged, and what one cost.
func (m *measureCommand) flood(ctx context.Context, s *server, connections, batch int) (rate, cost float64, err error) {
	before, err := cpuTime(s.pid)
	if err != nil {
		return 0, 0, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	step := nextStep()
	var accepted atomic.Int64
	var publishers sync.WaitGroup
	start := time.Now()
	for lane := range connections {
		p, err := s.dialPublisher()
		if err != nil {
			return 0, 0, err
		}
		defer p.close()
		publishers.Go(func() {
			next := marker{step: step, group: uint32(lane), lane: uint32(lane)}
			for time.Since(start) < m.Duration && ctx.Err() == nil {
				n, err := p.postEvents(&next, batch, m.Size)
				if err != nil {
					cancel(err)
					return
				}
				accepted.Add(int64(n))
			}
		})
	}
	publishers.Wait()
	took := time.Since(start)
	if err := context.Cause(ctx); err != nil {
		return 0, 0, err
	}
	after, err := cpuTime(s.pid)
	n := int(accepted.Load())
	return float64(n) / took.Seconds(), microseconds(after-before, n), err
}

// postEvents publishes the n events after last, which it moves on.
func (p *publisher) postEvents(last *marker, n, size int) (int, error) {
	merchant := p.server.tenant(int(last.group)).merchant
	if n == 1 {
		last.seq++
		last.sent = time.Since(began)
		_, err := p.post(oneEvent, appendEvent(nil, merchant, *last, size))
		return 1, err
	}
	body := []byte{'['}
	for i := range n {
		if i > 0 {
			body = append(body, ',')
		}
		last.seq++
		last.sent = time.Since(began)
		body = appendEvent(body, merchant, *last, size)
	}
	_, err := p.post(eventsBatch, append(body, ']'))
	return n, err
}

// position publishes the first event and returns where it stands.
func (s *server) position(first marker, size int) (string, error) {
	p, err := s.dialPublisher()
	if err != nil {
		return "", err
	}
	defer p.close()
	answer, err := p.post(oneEvent, appendEvent(nil, s.tenant(int(first.group)).merchant, first, size))
	if err != nil {
		return "", err
	}
	var accepted struct {
		Position string `json:"position"`
	}
	if err := json.Unmarshal(answer, &accepted); err != nil || accepted.Position == "" {
		return "", fmt.Errorf("publish: the answer %q has no position", answer)
	}
	return accepted.Position, nil
}
