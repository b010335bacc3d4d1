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

var errSilent = errors.New("ratelimit: the node says nothing")

// send makes a call, and returns what is closed when it is over. Until then its cmd
// is not to be looked at.
func (r *RedisLimiter) send(c *call) <-chan struct{} {
	over := make(chan struct{})
	go func() {
		defer close(over)
		ctx, cancel := context.WithTimeout(context.Background(), mostPatience*r.patience)
		defer cancel()
		r.run(ctx, []*call{c})
		r.pulses.beat(c)
	}()
	return over
}

// await waits for a call. It fails if the node says nothing to anybody for as long
// as patience lasts, or if ctx is done; the call is under way then.
func (r *RedisLimiter) await(ctx context.Context, c *call, over <-chan struct{}) error {
	look := r.patience / looks
	timer := time.NewTimer(look)
	defer timer.Stop()
	heard := r.pulses.of(c.node)
	for silent := 0; silent < looks; {
		select {
		case <-over:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			timer.Reset(look)
			silent++
			if n := r.pulses.of(c.node); n != heard {
				heard, silent = n, 0 // it is busy, and not away
			}
		}
	}
	return errSilent
}

// late sees to a call whose ask has been decided without it, once it is over: Redis
// may hold, now or soon, a lease that nobody has here.
func (r *RedisLimiter) late(ask Ask, c *call, over <-chan struct{}) {
	<-over
	v, err := readVerdict(ask, c.cmd)
	if err == nil {
		r.noteAnswer(c.node, nil)
	}
	switch {
	case ask.Lease == nil || r.local.holds(*ask.Lease):
	case err != nil:
		r.doubts.mistrust()
	case v.Allowed:
		r.Release(context.Background(), *ask.Lease)
	}
}

// pulses counts the answers of nodes. The zero value is ready.
type pulses struct{ nodes sync.Map } // address → *atomic.Uint64

// beat counts the answer to a call, if there is one.
func (p *pulses) beat(c *call) {
	if c.cmd.Err() != nil {
		return
	}
	n, ok := p.nodes.Load(c.node)
	if !ok {
		n, _ = p.nodes.LoadOrStore(c.node, new(atomic.Uint64))
	}
	n.(*atomic.Uint64).Add(1)
}

func (p *pulses) of(node string) uint64 {
	if n, ok := p.nodes.Load(node); ok {
		return n.(*atomic.Uint64).Load()
	}
	return 0
}
