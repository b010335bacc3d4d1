package ratelimit

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// takePatience is how long Take waits for a node that says nothing: its
	// callers have somebody waiting, and it has another answer. It leaves a part
	// of 50 ms for that one.
	takePatience = 40 * time.Millisecond
	// looks is in how many parts that time is waited, each a chance to run for a
	// process that gets too little of its processors: what it has not read yet is
	// no silence.
	looks = 4
	// mostPatience is how many times as long a call may take if the node answers
	// others meanwhile.
	mostPatience = 12
)

var errSilent = errors.New("no answer within " + takePatience.String())

// A trip is a call under way. Its caller may leave before it is back.
type trip struct {
	ask  Ask
	call *call

	settled atomic.Bool   // by who is first: it is back, or its caller has left
	back    chan answer   // to the caller who has not
	local   chan struct{} // closed once the caller who has left has decided by itself
}

type answer struct {
	verdict Verdict
	err     error
}

// depart sends a trip on its way.
func (r *RedisLimiter) depart(ask Ask, c *call) *trip {
	t := &trip{ask: ask, call: c, back: make(chan answer, 1), local: make(chan struct{})}
	go r.travel(t)
	return t
}

// travel makes the call, and sees to what comes of it when nobody waits any more.
func (r *RedisLimiter) travel(t *trip) {
	ctx, cancel := context.WithTimeout(context.Background(), mostPatience*r.patience)
	defer cancel()
	r.run(ctx, []*call{t.call})
	v, err := readVerdict(t.ask, t.call.cmd)
	if err == nil {
		r.pulses.beat(t.call.node)
	}
	if t.settled.CompareAndSwap(false, true) {
		r.noteAnswer(t.call.node, err)
		t.back <- answer{v, err}
		return
	}
	if err != nil {
		return // that it failed was noted when its caller left
	}
	r.noteAnswer(t.call.node, nil)
	<-t.local
	if t.ask.Lease != nil && v.Allowed {
		r.disown(context.Background(), *t.ask.Lease)
	}
}

// await returns what a trip brings. It fails if the node says nothing to anybody
// for as long as patience lasts, or if the caller's context is done; the trip is
// not over then, and its caller closes local.
func (r *RedisLimiter) await(ctx context.Context, t *trip) (Verdict, error) {
	look := r.patience / looks
	timer := time.NewTimer(look)
	defer timer.Stop()
	var err error
	heard := r.pulses.of(t.call.node)
	for silent := 0; err == nil; {
		select {
		case a := <-t.back:
			return a.verdict, a.err
		case <-ctx.Done():
			err = ctx.Err()
		case <-timer.C:
			timer.Reset(look)
			silent++
			if n := r.pulses.of(t.call.node); n != heard {
				heard, silent = n, 0 // it is busy, and not away
			}
			if silent == looks {
				err = errSilent
			}
		}
	}
	if !t.settled.CompareAndSwap(false, true) {
		a := <-t.back
		return a.verdict, a.err
	}
	if err == errSilent {
		r.noteAnswer(t.call.node, err)
	}
	return Verdict{}, err
}

// pulses counts the answers of nodes. The zero value is ready.
type pulses struct{ nodes sync.Map } // address → *atomic.Uint64

func (p *pulses) beat(node string) {
	n, ok := p.nodes.Load(node)
	if !ok {
		n, _ = p.nodes.LoadOrStore(node, new(atomic.Uint64))
	}
	n.(*atomic.Uint64).Add(1)
}

func (p *pulses) of(node string) uint64 {
	if n, ok := p.nodes.Load(node); ok {
		return n.(*atomic.Uint64).Load()
	}
	return 0
}
