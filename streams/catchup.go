package streams

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/paylogic/pushserver/streams/eventlog"
)

const (
	// turnTime is how long a turn lasts at most: several times what a batch
	// takes. A reader that takes longer waits for the storage or for its client,
	// and need not keep others waiting.
	turnTime = 20 * time.Millisecond

	// readsAtOnce is how many reads for single readers may be under way. The
	// others wait, so that the storage has time for the tails.
	readsAtOnce = 16
)

// catchup admits the readers that are behind. Every read of the log for a single
// reader goes through it.
//
// Catching up costs processor time and is never urgent: at most half the
// processors work on it, so that a storm of readers that are far behind leaves
// the rest to the tails. A turn is for one batch. The logs take turns in
// rotation, and the readers of one log in the order of their requests: every
// reader makes progress, and one merchant's storm does not delay another
// merchant's readers.
type catchup struct {
	log   eventlog.Log
	slots chan struct{} // one for each read under way
	reads atomic.Uint64

	mu      catchupMutex // guards the following, and the expiry of turns
	free    int
	logs    []string           // the logs with waiting readers, in rotation
	waiting map[string][]*turn // by log, the longest wait first
}

// A turn is a place in the queue, and then the right to go on.
type turn struct {
	log     string
	granted chan struct{} // closed when the turn begins
	expiry  *time.Timer   // passes the turn on; nil until it is granted
}

func newCatchup(log eventlog.Log) *catchup {
	return &catchup{
		log:     log,
		slots:   make(chan struct{}, readsAtOnce),
		free:    max(1, runtime.GOMAXPROCS(0)/2),
		waiting: make(map[string][]*turn),
	}
}

// acquire returns a turn of a reader of the log, which is granted at once or
// later. The caller releases it, granted or not.
func (c *catchup) acquire(log string) *turn {
	t := &turn{log: log, granted: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.free > 0 {
		c.free--
		c.grant(t)
		return t
	}
	if len(c.waiting[log]) == 0 {
		c.logs = append(c.logs, log)
	}
	c.waiting[log] = append(c.waiting[log], t)
	return t
}

func (c *catchup) release(t *turn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case t.expiry == nil:
		c.withdraw(t)
	case t.expiry.Stop():
		c.next()
	}
}

// grant begins a turn. The caller holds c.mu.
func (c *catchup) grant(t *turn) {
	t.expiry = time.AfterFunc(turnTime, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.next()
	})
	close(t.granted)
}

// next grants the next turn. The caller holds c.mu.
func (c *catchup) next() {
	if len(c.logs) == 0 {
		c.free++
		return
	}
	log := c.logs[0]
	c.logs = c.logs[1:]
	t, rest := c.waiting[log][0], c.waiting[log][1:]
	if len(rest) > 0 {
		c.waiting[log] = rest
		c.logs = append(c.logs, log)
	} else {
		delete(c.waiting, log)
	}
	c.grant(t)
}

// withdraw removes a turn from the queue. The caller holds c.mu.
func (c *catchup) withdraw(t *turn) {
	rest := slices.DeleteFunc(c.waiting[t.log], func(w *turn) bool { return w == t })
	if len(rest) > 0 {
		c.waiting[t.log] = rest
		return
	}
	delete(c.waiting, t.log)
	c.logs = slices.DeleteFunc(c.logs, func(l string) bool { return l == t.log })
}

// read returns what follows a position, at most as much as one write holds and
// most entries.
func (c *catchup) read(ctx context.Context, log string, after eventlog.ID, p *pace, most int) (eventlog.Batch, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return eventlog.Batch{}, fmt.Errorf("wait to read %q: %w: %w", log, eventlog.ErrUnavailable, ctx.Err())
	}
	c.reads.Add(1)
	batch, err := c.log.Read(ctx, log, after, p.limit(batchBytes, most))
	if err != nil {
		p.slow()
		return eventlog.Batch{}, err
	}
	p.learn(batch.Entries)
	return batch, nil
}
