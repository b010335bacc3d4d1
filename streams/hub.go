package streams

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync/atomic"
	"time"

	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

const (
	// readTimeout bounds one call of the log.
	readTimeout = 2 * time.Second

	// lookAround is the time between two comparisons of heads: how late an
	// event can be if its bell was lost.
	lookAround = time.Second

	// linger is how long a tail or feed is kept after its last reader left: most
	// readers that leave come back.
	linger = 30 * time.Second

	// stuckAfter is how long a client may take nothing before it is ended.
	stuckAfter = 10 * time.Second
)

// Options of a [Hub]. The zero value works.
type Options struct {
	Heartbeat time.Duration // between heartbeats on a quiet connection; 15 s if zero
	MaxAge    time.Duration // the age at which a subscription ends, to within 10 %; zero: never
	Logger    *slog.Logger  // slog.Default() if nil
}

// A Hub serves the logs of one [eventlog.Log] to subscriptions. All methods may
// be called concurrently.
type Hub struct {
	log        eventlog.Log
	maxAge     time.Duration
	logger     *slog.Logger
	tasks      *tasks
	catchup    *catchup
	waitlist   *waitlist
	heartbeats heartbeats
	counts     counts
	reported   atomic.Int64 // when the log was last reported unreadable, in Unix seconds

	mu       hubMutex // guards the following
	tails    map[string]*tail
	closed   bool
	draining bool
	drained  chan struct{} // closed when draining
}

// counts are what [Stats] reports.
type counts struct {
	delivered, bytes, resets atomic.Uint64
}

// Stats are current sizes, and counts since the start.
type Stats struct {
	Tails, Feeds, Subscriptions int

	Delivered uint64 // events written to connections
	Bytes     uint64 // written to connections, including control events and heartbeats
	Resets    uint64 // stream.reset written
	Reads     uint64 // batches read from the log for single readers
}

// Why a subscription ended, besides a [Goodbye].
var (
	ErrGone     = errors.New("streams: the client left")
	ErrStuck    = errors.New("streams: the client took nothing for too long")
	ErrDraining = errors.New("streams: the gateway is shutting down")
)

// NewHub returns a hub that serves log until it is closed. It does not close
// the log.
func NewHub(log eventlog.Log, o Options) *Hub {
	h := &Hub{
		log:        log,
		maxAge:     o.MaxAge,
		logger:     cmp.Or(o.Logger, slog.Default()),
		tasks:      newTasks(),
		catchup:    newCatchup(log),
		waitlist:   newWaitlist(),
		heartbeats: heartbeats{interval: cmp.Or(o.Heartbeat, 15*time.Second)},
		tails:      make(map[string]*tail),
		drained:    make(chan struct{}),
	}
	h.tasks.spawn(func() { log.Bells(h.tasks.ctx, h.ring) })
	h.tasks.spawn(func() { h.tasks.every(lookAround, h.look) })
	h.tasks.spawn(func() { h.tasks.every(h.heartbeats.interval/heartbeatParts, h.heartbeats.tick) })
	return h
}

// Subscribe prepares a subscription and resolves its start, so that the caller
// can still answer a failure as one. It returns ErrDraining, or an error that
// wraps one of [eventlog.Log]. The subscription begins with
// [Subscription.Start] or [Subscription.Serve]; without either it must be
// closed.
func (h *Hub) Subscribe(ctx context.Context, req Request) (*Subscription, error) {
	if h.Draining() {
		return nil, ErrDraining
	}
	s := &Subscription{
		hub: h, cursor: cursor{slot: -1}, framing: req.Framing, conflate: req.Conflate, until: h.until(),
		meter: replayMeter{charge: req.ChargeReplay}, quota: quota{rate: uint32(max(0, req.Rate)), length: cmp.Or(req.RateWindow, time.Second)},
	}
	if err := h.join(ctx, s, req.Log, req.Filter); err != nil {
		return nil, err
	}
	s.opening = &opening{sub: s, connection: req.Connection}
	if err := s.opening.begin(ctx, req.Log, req.Start); err != nil {
		s.leave()
		return nil, err
	}
	h.heartbeats.add(s)
	if h.Draining() { // Drain may have missed it
		s.Close(ErrDraining)
		return nil, ErrDraining
	}
	return s, nil
}

// ring makes a log's tail look, if there is one.
func (h *Hub) ring(log string) {
	h.mu.Lock()
	t := h.tails[log]
	h.mu.Unlock()
	if t != nil {
		t.follower.ring()
	}
}

// tail returns the log's tail, which it opens if needed.
func (h *Hub) tail(ctx context.Context, log string) (*tail, error) {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil, ErrDraining
	}
	t := h.tails[log]
	if t == nil {
		t = newTail(h, log)
		h.tails[log] = t
		h.tasks.spawn(func() {
			// Other readers wait for the same tail, so the first one's context
			// does not end it.
			ctx, cancel := h.tasks.timeout(readTimeout)
			defer cancel()
			if t.open(ctx) != nil {
				h.forget(t)
			}
		})
	}
	h.mu.Unlock()

	select {
	case <-t.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if t.err != nil {
		return nil, fmt.Errorf("open the tail of %q: %w", log, t.err)
	}
	return t, nil
}

// forget makes the next reader of the log open a new tail.
func (h *Hub) forget(t *tail) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tails[t.log] == t {
		delete(h.tails, t.log)
	}
}

// join makes sub a reader of the log seen through f.
func (h *Hub) join(ctx context.Context, sub *Subscription, log string, f *filter.Filter) error {
	for {
		t, err := h.tail(ctx, log)
		if err != nil {
			return err
		}
		if feed := t.join(sub, f); feed != nil {
			sub.feed = feed
			return nil
		}
	}
}

// rejoin makes sub a reader of the tail that took the place of its dead one.
func (h *Hub) rejoin(ctx context.Context, sub *Subscription) error {
	sub.leave()
	return h.join(ctx, sub, sub.feed.tail.log, sub.feed.filter)
}

// look finds what no bell and no client reports: tails whose log has moved on,
// readers that can try the log again, stuck connections, and idle tails.
func (h *Hub) look() {
	now := time.Now()
	tails := h.openTails()
	h.waitlist.wakeStalled()
	h.waitlist.retryBlocked(monotonic())
	for log, t := range tails {
		if t.sweep(now) {
			h.forget(t)
			delete(tails, log)
		}
	}
	h.compare(tails)
}

func (h *Hub) openTails() map[string]*tail {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.tails)
}

// compare rings the tails whose log has another head than they have, and notes
// which logs do not answer.
func (h *Hub) compare(tails map[string]*tail) {
	heads := make(map[string]eventlog.ID, len(tails))
	for log, t := range tails {
		select {
		case <-t.ready:
			heads[log], _ = t.end()
		default:
		}
	}
	if len(heads) == 0 {
		return
	}
	ctx, cancel := h.tasks.timeout(readTimeout)
	defer cancel()
	moved, silent, err := h.log.Moved(ctx, heads)
	if err != nil {
		h.reportUnreadable("", err)
	}
	isSilent := make(map[string]bool, len(silent))
	for _, log := range silent {
		isSilent[log] = true
	}
	back := false
	for log := range heads {
		answers := !isSilent[log]
		if changed := tails[log].noteAnswer(answers); changed && answers {
			back = true
		}
	}
	for _, log := range moved {
		tails[log].follower.ring()
	}
	if back {
		h.waitlist.wakeStalled()
	}
}

// reportUnreadable logs that a log cannot be read, at most once in five seconds.
func (h *Hub) reportUnreadable(log string, err error) {
	now := int64(monotonic())
	last := h.reported.Load()
	if h.tasks.ctx.Err() == nil && (last == 0 || now-last >= int64(5*time.Second)) && h.reported.CompareAndSwap(last, now) {
		h.logger.Error("a log cannot be read; its readers wait", "log", log, "error", err)
	}
}

// Stats returns sizes and counts.
func (h *Hub) Stats() Stats {
	s := Stats{
		Subscriptions: h.heartbeats.len(),
		Delivered:     h.counts.delivered.Load(),
		Bytes:         h.counts.bytes.Load(),
		Resets:        h.counts.resets.Load(),
		Reads:         h.catchup.reads.Load(),
	}
	tails := h.openTails()
	s.Tails = len(tails)
	for _, t := range tails {
		t.mu.Lock()
		s.Feeds += len(t.feeds)
		t.mu.Unlock()
	}
	return s
}

// until returns the monotonic time at which a subscription that begins now
// reaches its maximal age, or 0 if it has none. It is random, so that
// subscriptions that began together, as after a restart, do not end together.
func (h *Hub) until() time.Duration {
	if h.maxAge <= 0 {
		return 0
	}
	return monotonic() + h.maxAge*9/10 + jitter(h.maxAge/5)
}

// Drain refuses new subscriptions with [ErrDraining], answers waiting pages with
// what there is, and ends every subscription with a goodbye. Each goodbye has a
// random time to come back, within spread.
func (h *Hub) Drain(spread time.Duration) {
	h.refuse(false)
	for _, sub := range h.heartbeats.all() {
		sub.End(Goodbye{Reason: "draining", Reconnect: true, Retry: retryTime + jitter(spread)})
	}
}

// refuse makes the hub reject new subscriptions, and if it is closed new tails.
func (h *Hub) refuse(closed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = h.closed || closed
	if !h.draining {
		h.draining = true
		close(h.drained)
	}
}

// Draining reports whether the hub refuses new subscriptions.
func (h *Hub) Draining() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.draining
}

// Close ends every subscription and waits for all goroutines of the hub.
func (h *Hub) Close() error {
	h.refuse(true)
	for _, sub := range h.heartbeats.all() {
		sub.Close(ErrDraining)
	}
	h.tasks.close()
	return nil
}
