//go:build linux

package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// publishRate is how many events a second a publisher makes in all.
	publishRate = 200
	// underWay is how many events of one merchant the publisher sends at the
	// same time. While they are refused it makes no more.
	underWay = 6
	// stateType is the one type that is state-like.
	stateType = "ticket.availability"
	// attemptPause is between two attempts for one event.
	attemptPause = 150 * time.Millisecond
)

// A publisher publishes for all merchants at a steady rate, through all
// instances in turn, each event with its id until it is accepted.
type publisher struct {
	*ledger

	ctx       context.Context
	instances []*instance
	key       string
	merchants []string
	rate      int           // events a second
	serial    *atomic.Int64 // the number of the newest event, over all trials
	dice      *rand.Rand    // used by the goroutine that makes events

	stop context.CancelFunc // nil before begin
	work sync.WaitGroup     // the goroutine that makes events, and those that send them
}

// begin makes events until halt.
func (p *publisher) begin() {
	ticking, stop := context.WithCancel(p.ctx)
	p.stop = stop
	slots := make(map[string]chan struct{})
	for _, m := range p.merchants {
		slots[m] = make(chan struct{}, underWay)
	}
	p.work.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(p.rate))
		defer tick.Stop()
		for turn := 0; ; turn++ {
			select {
			case <-ticking.Done():
				return
			case <-tick.C:
			}
			merchant := p.merchants[turn%len(p.merchants)]
			select {
			case slots[merchant] <- struct{}{}:
			default:
				continue
			}
			f, body := p.compose(merchant, 0)
			p.work.Go(func() {
				p.insist(f, body, turn)
				<-slots[merchant]
			})
		}
	})
}

// halt makes no more events. It returns when all events are accepted or the trial's
// time is up.
func (p *publisher) halt() {
	p.stop()
	p.work.Wait()
}

// compose makes a random event of at least size bytes. One goroutine at a time may call
// it.
func (p *publisher) compose(merchant string, size int) (fact, []byte) {
	f := fact{
		Merchant: merchant, ID: fmt.Sprintf("%s-%d", merchant, p.serial.Add(1)),
		Type: [...]string{"payment.paid", "payment.failed", stateType}[p.dice.IntN(3)], Amount: 100 * p.dice.IntN(10),
	}
	if f.Type == stateType {
		f.Subject = fmt.Sprintf("event/%d", p.dice.IntN(10))
	}
	return p.seal(f, size)
}

// seal notes an event in the history and returns it with its request body.
func (p *publisher) seal(f fact, size int) (fact, []byte) {
	data := fmt.Appendf(nil, `{"amount":%d,"note":%q,"pad":"%s"}`, f.Amount, canaryFor(f.Merchant), bytes.Repeat([]byte("x"), size))
	f.Sum = sumOf(data)
	p.state(f)
	subject := ""
	if f.Subject != "" {
		subject = fmt.Sprintf(`"subject":%q,`, f.Subject)
	}
	return f, fmt.Appendf(nil, `{"merchant":%q,"type":%q,%s"id":%q,"source":"stand","data":%s}`, f.Merchant, f.Type, subject, f.ID, data)
}

// insist sends an event until it is accepted, or the trial's time is up.
func (p *publisher) insist(f fact, body []byte, turn int) {
	for ; p.ctx.Err() == nil; turn++ {
		if p.send(f, body, turn%len(p.instances)).accepted() {
			return
		}
		_ = pause(p.ctx, attemptPause)
	}
}

// send sends an event once.
func (p *publisher) send(f fact, body []byte, to int) attempt {
	a := attempt{Merchant: f.Merchant, ID: f.ID, Instance: to, Began: time.Now()}
	a.Status, a.Position, a.Answer = p.ask(body, p.instances[to])
	a.Ended = time.Now()
	p.note(a)
	return a
}

func (p *publisher) ask(body []byte, to *instance) (status int, position, text string) {
	req, err := http.NewRequestWithContext(p.ctx, http.MethodPost, "http://"+to.address+"/v1/events", bytes.NewReader(body))
	if err != nil {
		return 0, "", err.Error()
	}
	req.GetBody = nil // the client must not send it again by itself
	req.Header.Set("Authorization", "Bearer "+p.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := to.client.Do(req)
	if err != nil {
		return 0, "", err.Error()
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, "", err.Error()
	}
	var a struct{ Position string }
	if resp.StatusCode/100 != 2 {
		return resp.StatusCode, "", string(answer)
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return 0, "", err.Error()
	}
	return resp.StatusCode, a.Position, ""
}
