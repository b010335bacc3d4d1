package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// publishPeriod is between two events, over all merchants.
const publishPeriod = 5 * time.Millisecond

// A sent event was accepted.
type sent struct {
	receipt
	Type   string
	Amount int
}

func canaryOf(merchant string) []byte { return []byte("canary of " + merchant) }

// lastOf returns the id of the last event of a merchant.
func lastOf(merchant string) string { return merchant + "-last" }

// A publication publishes for several merchants at a steady rate, each event
// with its id until it is accepted. Half of all is for the first merchant.
type publication struct {
	t         *testing.T
	ctx       context.Context
	stop      context.CancelFunc
	gateways  []string
	key       string
	merchants []string
	client    *http.Client
	running   sync.WaitGroup
	retries   atomic.Int64

	mu       sync.Mutex // guards the following
	accepted map[string][]sent
	times    map[string][]time.Time // of the answers, by merchant
}

func beginPublishing(ctx context.Context, t *testing.T, gateways []string, key string, merchants []string) *publication {
	ticking, stop := context.WithCancel(ctx)
	p := &publication{
		t: t, ctx: ctx, stop: stop, gateways: gateways, key: key, merchants: merchants,
		client:   &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}},
		accepted: make(map[string][]sent), times: make(map[string][]time.Time),
	}
	t.Cleanup(p.client.CloseIdleConnections)
	p.running.Go(func() {
		tick := time.NewTicker(publishPeriod)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ticking.Done():
				return
			case <-tick.C:
			}
			merchant := merchants[0]
			if i%2 == 1 {
				merchant = merchants[1+i/2%(len(merchants)-1)]
			}
			e := sent{receipt{ID: fmt.Sprintf("%s-%d", merchant, i)}, "payment.paid", i / 10 % 10 * 100}
			if i/4%2 == 1 {
				e.Type = "payment.failed"
			}
			p.running.Go(func() { p.publish(merchant, e, i) })
		}
	})
	return p
}

// publish sends an event until it is accepted.
func (p *publication) publish(merchant string, e sent, turn int) {
	body := fmt.Appendf(nil, `{"merchant":%q,"type":%q,"id":%q,"data":{"amount":%d,"currency":"EUR","reason":"declined","note":%q}}`,
		merchant, e.Type, e.ID, e.Amount, canaryOf(merchant))
	for ; p.ctx.Err() == nil; turn++ {
		position, err := p.send(p.gateways[turn%len(p.gateways)], body)
		if err == nil {
			e.Position = position
			p.mu.Lock()
			p.accepted[merchant] = append(p.accepted[merchant], e)
			p.times[merchant] = append(p.times[merchant], time.Now())
			p.mu.Unlock()
			return
		}
		p.retries.Add(1)
		_ = pause(p.ctx, 100*time.Millisecond)
	}
}

func (p *publication) send(gateway string, body []byte) (position string, err error) {
	req, err := http.NewRequestWithContext(p.ctx, http.MethodPost, gateway+"/v1/events", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	switch resp.StatusCode {
	case http.StatusCreated, http.StatusOK:
		var a struct{ Position string }
		err := json.Unmarshal(answer, &a)
		return a.Position, err
	case http.StatusServiceUnavailable:
	default:
		p.t.Errorf("publish was refused with %d: %s", resp.StatusCode, answer)
	}
	return "", fmt.Errorf("answer %d", resp.StatusCode)
}

// during causes a fault, waits until every merchant's events are accepted again,
// and says what it cost.
func (p *publication) during(name string, fault func()) {
	p.t.Helper()
	start, retries := time.Now(), p.retries.Load()
	fault()
	healed := time.Now()
	p.awaitEach(20, healed)
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []time.Time
	worst, of := time.Duration(0), ""
	for _, m := range p.merchants {
		all = append(all, p.times[m]...)
		if d := longestWait(p.times[m], start); d > worst {
			worst, of = d, m
		}
	}
	p.t.Logf("%-17s took %5d ms; at most %4d ms without an accepted event at all, %4d ms for one merchant (%s); %d retries",
		name+":", healed.Sub(start).Milliseconds(), longestWait(all, start).Milliseconds(), worst.Milliseconds(), of, p.retries.Load()-retries)
}

// longestWait returns the longest time between two of times, of those after start.
func longestWait(times []time.Time, start time.Time) time.Duration {
	times = slices.SortedFunc(slices.Values(times), time.Time.Compare)
	longest := time.Duration(0)
	for _, at := range times {
		if at.After(start) {
			longest = max(longest, at.Sub(start))
			start = at
		}
	}
	return longest
}

// awaitEach returns when n events of each merchant were accepted since a time.
func (p *publication) awaitEach(n int, since time.Time) {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(15 * time.Second)
	for {
		late := ""
		p.mu.Lock()
		for _, m := range p.merchants {
			if times := p.times[m]; len(times) < n || times[len(times)-n].Before(since) {
				late = m
			}
		}
		p.mu.Unlock()
		if late == "" {
			return
		}
		select {
		case <-limit:
			p.t.Fatalf("15 s after the fault, events of %s are not accepted", late)
		case <-tick.C:
		}
	}
}

// finish ends the publication when everything is accepted, with one event that
// every viewer sees, and returns what each merchant was sent, as in the log.
func (p *publication) finish() map[string][]sent {
	p.t.Helper()
	p.stop()
	p.running.Wait()
	for i, m := range p.merchants {
		p.publish(m, sent{receipt{ID: lastOf(m)}, "payment.paid", 1000}, i)
	}
	total := 0
	for _, m := range p.merchants {
		all := p.accepted[m]
		total += len(all)
		slices.SortFunc(all, func(a, b sent) int { return slices.Compare(stampOf(a), stampOf(b)) })
		if len(all) == 0 || all[len(all)-1].ID != lastOf(m) {
			p.t.Fatalf("the last event of %s is not the last in its log", m)
		}
	}
	p.t.Logf("%d events accepted, %d retries", total, p.retries.Load())
	return p.accepted
}

// stampOf returns the numbers by which positions are ordered.
func stampOf(e sent) []uint64 {
	var stamp []uint64
	for _, number := range strings.SplitN(e.Position, "-", 3)[:2] {
		n, _ := strconv.ParseUint(number, 10, 64)
		stamp = append(stamp, n)
	}
	return stamp
}
