package ratelimit

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// tripCalls is how many calls are sent to a node together at most: a node serves
// nobody else meanwhile.
const tripCalls = 32

// A lane is the way to one node. A call that finds it free is made at once; those
// that come while one is under way are made together after it. To a busy node that
// is a fraction of the system calls, on both sides, and the call that had to wait
// would have waited there.
type lane struct {
	mu      sync.Mutex // guards the following
	busy    bool
	waiting []*passenger
}

// A passenger is a call that waits for the lane.
type passenger struct {
	ctx  context.Context
	call *call
	done chan *redis.Cmd // takes one
}

// lanes are those of all nodes that were ever asked, which are few.
type lanes struct {
	mu     sync.Mutex // guards byNode
	byNode map[string]*lane
}

func (l *lanes) to(node string) *lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byNode == nil {
		l.byNode = map[string]*lane{}
	}
	if l.byNode[node] == nil {
		l.byNode[node] = new(lane)
	}
	return l.byNode[node]
}

// ask makes a call, with others or alone, and returns its command. It waits for no
// longer than ctx, after which the call may still be made.
func (r *RedisLimiter) ask(ctx context.Context, c *call) *redis.Cmd {
	l := r.lanes.to(c.node)
	l.mu.Lock()
	if !l.busy {
		l.busy = true
		l.mu.Unlock()
		r.run(ctx, []*call{c})
		l.mu.Lock()
		l.busy = len(l.waiting) > 0
		if l.busy {
			go r.drive(l)
		}
		l.mu.Unlock()
		return c.cmd
	}
	p := &passenger{ctx: ctx, call: c, done: make(chan *redis.Cmd, 1)}
	l.waiting = append(l.waiting, p)
	l.mu.Unlock()
	select {
	case cmd := <-p.done:
		return cmd
	case <-ctx.Done():
		return failed(ctx.Err())
	}
}

// drive makes the calls that wait, until none does.
func (r *RedisLimiter) drive(l *lane) {
	for {
		l.mu.Lock()
		n := min(len(l.waiting), tripCalls)
		trip := l.waiting[:n]
		l.waiting = l.waiting[n:]
		if n == 0 {
			l.busy, l.waiting = false, nil
		}
		l.mu.Unlock()
		if n == 0 {
			return
		}
		r.makeTrip(trip)
	}
}

func (r *RedisLimiter) makeTrip(trip []*passenger) {
	ctx, cancel := context.WithTimeout(context.Background(), r.patience)
	defer cancel()
	calls := make([]*call, 0, len(trip))
	for _, p := range trip {
		if err := p.ctx.Err(); err != nil { // nobody waits for it
			p.call.cmd = failed(err)
			continue
		}
		calls = append(calls, p.call)
	}
	if len(calls) > 0 {
		r.run(ctx, calls)
	}
	for _, p := range trip {
		p.done <- p.call.cmd
	}
}

// failed returns a command that was not sent.
func failed(err error) *redis.Cmd {
	cmd := redis.NewCmd(context.Background())
	cmd.SetErr(err)
	return cmd
}
