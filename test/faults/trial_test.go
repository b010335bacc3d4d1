//go:build linux

package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylogic/pushserver/test/stand"
)

const (
	// trialLimit bounds a trial whose setting has no limit.
	trialLimit = 2 * time.Minute
	// settleLimit is how long readers may take to get everything after the last
	// fault.
	settleLimit = 30 * time.Second
)

// A setting is how a trial differs from others. The zero value works.
type setting struct {
	limit     time.Duration // of the whole trial
	args      []string      // of serve, besides those that every trial has
	mutation  *mutation     // of the program; nil: none
	networks  [2]*netns     // of the instances; nil: this machine's
	merchants []string      // nil: all
	rate      int           // events a second; 0: publishRate
	trims     bool          // see evidence
}

// A trial is one run: two gateways, a publisher, readers, and what they noted.
type trial struct {
	setting
	t          *testing.T
	fixture    *fixture
	ctx        context.Context
	deadline   time.Time // of ctx
	began      time.Time
	instances  []*instance
	publisher  *publisher // the first of publishers
	publishers []*publisher
	mu         sync.Mutex // guards readers while several goroutines add to it
	readers    []*reader
	reading    sync.WaitGroup
	leave      context.CancelFunc // ends the readers
	readCtx    context.Context
	heads      map[string]string // of the logs before, by merchant
	windows    []window
	monitor    *monitor
	final      *evidence // once it has finished
}

// A window is the time of one fault.
type window struct {
	name         string
	from, healed time.Time
}

// newTrial starts the gateways. They run until the test ends.
func (s *fixture) newTrial(t *testing.T, o setting) *trial {
	t.Helper()
	if o.limit == 0 {
		o.limit = trialLimit
	}
	if o.rate == 0 {
		o.rate = publishRate
	}
	if o.merchants == nil {
		o.merchants = s.merchants
	}
	ctx, cancel := context.WithTimeout(t.Context(), o.limit)
	s.trials++
	tr := &trial{setting: o, t: t, fixture: s, ctx: ctx, deadline: time.Now().Add(o.limit), began: time.Now(), heads: make(map[string]string)}
	t.Cleanup(func() {
		cancel()
		tr.reading.Wait()
		for _, p := range tr.publishers {
			p.work.Wait()
		}
	})
	networks := o.networks[:]
	if s.cluster == nil {
		networks = networks[:1] // only one process can hold a directory
	}
	for _, in := range networks {
		if in == nil {
			in = newThread(t)
		}
		i := newInstance(t, s, o.mutation, in, append(s.storage(), o.args...)...)
		i.begin()
		tr.instances = append(tr.instances, i)
	}
	for _, m := range o.merchants {
		tr.heads[m] = tr.headOf(m)
	}
	tr.publisher = tr.newPublisher(&ledger{facts: s.facts})
	tr.readCtx, tr.leave = context.WithCancel(ctx)
	tr.monitor = beginMonitor(tr)
	return tr
}

// lastOf returns the id of the last event of a merchant in this trial.
func (tr *trial) lastOf(merchant string) string {
	return fmt.Sprintf("%s-last-%d", merchant, tr.fixture.trials)
}

// newPublisher returns a publisher that is not started.
func (tr *trial) newPublisher(l *ledger) *publisher {
	s := tr.fixture
	p := &publisher{
		ledger: l, ctx: tr.ctx, instances: tr.instances, key: s.publisher,
		merchants: tr.merchants, rate: tr.rate, serial: &s.serial, dice: rand.New(rand.NewPCG(s.seed, uint64(s.serial.Load()))),
	}
	tr.publishers = append(tr.publishers, p)
	return p
}

// newReader returns a reader that is not started.
func (tr *trial) newReader(merchant string, p part) *reader {
	r := &reader{
		name: fmt.Sprintf("reader %d", len(tr.readers)), merchant: merchant, key: tr.fixture.keys[merchant],
		part: p, instances: tr.instances, turn: len(tr.readers),
		opened: make(chan struct{}), last: tr.lastOf(merchant),
	}
	tr.readers = append(tr.readers, r)
	return r
}

// admit starts readers and returns when their streams are open.
func (tr *trial) admit(readers ...*reader) {
	tr.t.Helper()
	for _, r := range readers {
		tr.reading.Go(func() { r.read(tr.readCtx) })
	}
	for _, r := range readers {
		tr.awaitOpen(r)
	}
}

// await returns when a condition holds, or fails the test.
func (tr *trial) await(limit time.Duration, what string, holds func() bool) {
	tr.t.Helper()
	stand.AwaitThat(tr.t, min(limit, time.Until(tr.deadline)), what, holds)
}

func (tr *trial) awaitOpen(r *reader) {
	tr.t.Helper()
	tr.await(15*time.Second, r.name+" to be let in", func() bool {
		select {
		case <-r.opened:
			return true
		default:
			return false
		}
	})
}

// begin admits readers of every kind and starts the publisher.
func (tr *trial) begin() {
	tr.t.Helper()
	tr.admitAll()
	tr.publisher.begin()
	tr.settle(5, time.Now())
}

// admitAll admits one reader for each merchant and part of its feed. Half of all
// resume by the query, and half of each half are restless.
func (tr *trial) admitAll() {
	tr.t.Helper()
	for i, p := range parts {
		for j, m := range tr.merchants {
			r := tr.newReader(m, p)
			r.inQuery = j%2 == 1
			if j/2%2 == 1 {
				r.restless = rand.New(rand.NewPCG(tr.fixture.seed, uint64(i*1000+j)))
			}
			tr.admit(r)
		}
	}
}

// settle returns when n events of each merchant were accepted after a time.
func (tr *trial) settle(n int, after time.Time) {
	tr.t.Helper()
	tr.await(settleLimit, fmt.Sprintf("%d events of each merchant to be accepted", n), func() bool {
		count := tr.publisher.acceptedSince(after)
		for _, m := range tr.merchants {
			if count[m] < n {
				return false
			}
		}
		return true
	})
}

// during causes a fault, and returns when everyone's events are accepted again.
func (tr *trial) during(name string, fault func()) {
	tr.t.Helper()
	w := window{name: name, from: time.Now()}
	fault()
	w.healed = time.Now()
	tr.windows = append(tr.windows, w)
	tr.settle(5, w.healed)
}

// finish ends the publication with one event that everyone sees, waits until
// all have it, and judges. A verdict that is red fails the test.
func (tr *trial) finish() *verdict {
	tr.t.Helper()
	e, v := tr.conclude()
	tr.final = e
	tr.fixture.report.add(tr, e, v)
	if v.red() {
		tr.t.Errorf("the contract was broken:\n  %s", strings.Join(v.findings, "\n  "))
		tr.keep(e)
	}
	return v
}

// keep writes the histories of a trial to files. go test -artifacts keeps them.
func (tr *trial) keep(e *evidence) {
	tr.t.Helper()
	dir := tr.t.ArtifactDir()
	write := func(name string, history any) {
		text, err := json.Marshal(history)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name+".json"), text, 0o600)
		}
		if err != nil {
			tr.t.Error(err)
		}
	}
	write("attempts", e.attempts)
	write("logs", e.logs)
	for _, w := range e.witnesses {
		write(w.name, w.notes)
	}
	for i, instance := range tr.instances {
		tr.t.Logf("gateway %d:\n%s", i, instance.tail())
		log, err := os.ReadFile(instance.log)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("gateway %d.log", i)), log, 0o600)
		}
		if err != nil {
			tr.t.Error(err)
		}
	}
	tr.t.Logf("the histories are in %s", dir)
}

// conclude is finish, but it neither fails the test nor adds to the report.
func (tr *trial) conclude() (*evidence, *verdict) {
	tr.t.Helper()
	if tr.publisher.stop != nil {
		tr.publisher.halt()
	}
	tr.publishLast()
	tr.awaitReaders()
	tr.leave()
	tr.reading.Wait()
	tr.monitor.rest()
	e := tr.evidence()
	return e, judge(e)
}

// publishLast publishes the last event of each merchant. A second call changes
// nothing.
func (tr *trial) publishLast() {
	var lasts sync.WaitGroup
	for i, m := range tr.merchants {
		f, body := tr.publisher.seal(fact{Merchant: m, ID: tr.lastOf(m), Type: "payment.paid", Amount: 1000}, 0)
		lasts.Go(func() { tr.publisher.insist(f, body, i) })
	}
	lasts.Wait()
}

// awaitReaders returns when all readers have their last event, or the time is up. The
// oracle reports readers that lack it.
func (tr *trial) awaitReaders() {
	done := make(chan struct{})
	go func() { tr.reading.Wait(); close(done) }()
	select {
	case <-done:
	case <-tr.ctx.Done():
	case <-time.After(settleLimit):
	}
}

// evidence collects the histories and what is in the logs.
func (tr *trial) evidence() *evidence {
	tr.t.Helper()
	l := tr.publisher.ledger
	e := &evidence{logs: make(map[string][]logged), heads: tr.heads, trims: tr.trims}
	for _, m := range tr.merchants {
		e.logs[m] = tr.logOf(m)
	}
	l.mu.Lock()
	e.facts, e.attempts = l.facts, l.attempts
	l.mu.Unlock()
	for _, r := range tr.readers {
		w := witness{name: r.name, merchant: r.merchant, sees: r.part.sees, finished: r.finished.Load(), notes: r.all()}
		r.mu.Lock()
		w.leaked = r.leaked
		r.mu.Unlock()
		e.witnesses = append(e.witnesses, w)
	}
	return e
}
