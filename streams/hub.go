package streams

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paylogic/pushserver/streams/filter"
)

const (
	// readTimeout bounds one call of the log.
	readTimeout = 2 * time.Second

	// lookAround is the time between two comparisons of heads: how late an
	// event can be if its bell was lost.
	lookAround = time.Second

	// linger is how long a stream or feed is kept after its last reader left:
	// most readers that leave come back.
	linger = 30 * time.Second

	// stuckAfter is how long a client may take nothing before it is ended.
	stuckAfter = 10 * time.Second

	// readsAtOnce is how many readers may read the log at the same time. The
	// others wait, so that the storage has time for the tails.
	readsAtOnce = 16
)

// Options of a [Hub]. The zero value works.
type Options struct {
	Heartbeat time.Duration // between signs of life on a quiet connection; 15 s if zero
	MaxAge    time.Duration // after about which a subscription is ended, to within 10 %; zero: never
	Logger    *slog.Logger  // slog.Default() if nil
}

// A Hub serves the logs of one [Log] to subscriptions. All methods may be
// called concurrently.
type Hub struct {
	log       eventlog.Log
	heartbeat time.Duration
	maxAge    time.Duration
	logger    *slog.Logger
	reads     chan struct{} // holds a token for each reader of the log
	turns     *turns        // of those who are behind
	pulse     pulse
	counts    counts
	complain  atomic.Int64 // when the log was last reported unreadable, in Unix seconds

	ctx  context.Context // done when the hub is closed
	stop context.CancelFunc

	workMu sync.Mutex // guards the following
	work   sync.WaitGroup
	over   bool // Close waits: nothing new may begin

	mu       sync.Mutex // guards the following
	tails    map[string]*tail
	blocked  map[*Subscription]bool // whose clients take nothing at the moment
	stalled  map[*Subscription]bool // who try again at the next look around
	closed   bool
	draining bool
	drained  chan struct{} // closed when draining
}

// counts are what [Stats] reports.
type counts struct {
	delivered, bytes, resets, reads atomic.Uint64
}

// Stats are sizes of now and counts since the start.
type Stats struct {
	Tails, Feeds, Subscriptions int

	Delivered uint64 // events written to connections
	Bytes     uint64 // written to connections, heads and heartbeats included
	Resets    uint64 // stream.reset written
	Reads     uint64 // batches read from the log for single readers
}

// NewHub returns a hub that serves log until it is closed. It does not close
// the log.
func NewHub(log eventlog.Log, o Options) *Hub {
	ctx, stop := context.WithCancel(context.Background())
	h := &Hub{
		log:       log,
		heartbeat: cmp.Or(o.Heartbeat, 15*time.Second),
		maxAge:    o.MaxAge,
		logger:    cmp.Or(o.Logger, slog.Default()),
		reads:     make(chan struct{}, readsAtOnce),
		turns:     newTurns(),
		ctx:       ctx,
		stop:      stop,
		tails:     make(map[string]*tail),
		blocked:   make(map[*Subscription]bool),
		stalled:   make(map[*Subscription]bool),
		drained:   make(chan struct{}),
	}
	h.spawn(func() { log.Bells(ctx, h.ring) })
	h.spawn(func() { h.every(lookAround, h.look) })
	h.spawn(func() { h.every(h.heartbeat/pulseBeats, h.beat) })
	return h
}

// spawn runs f in a goroutine that Close waits for; not if Close has begun to.
func (h *Hub) spawn(f func()) {
	h.workMu.Lock()
	defer h.workMu.Unlock()
	if !h.over {
		h.work.Go(f)
	}
}

func (h *Hub) every(d time.Duration, f func()) {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			f()
		case <-h.ctx.Done():
			return
		}
	}
}

// ring tells a log's stream to look, if there is one.
func (h *Hub) ring(log string) {
	h.mu.Lock()
	st := h.tails[log]
	h.mu.Unlock()
	if st != nil {
		st.ring()
	}
}

// stream returns the log's stream, opened if need be.
func (h *Hub) tail(ctx context.Context, log string) (*tail, error) {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil, ErrDraining
	}
	st := h.tails[log]
	if st == nil {
		st = &tail{
			hub: h, log: log,
			ready:   make(chan struct{}),
			feeds:   make(map[string]*feed),
			waiting: make(map[*waiter]bool),
		}
		st.reader.Store(readerReads) // a bell that rings from now on is not lost
		h.tails[log] = st
		h.spawn(func() {
			// Others wait for the same stream, so it is not tied to the one
			// who came first.
			ctx, cancel := context.WithTimeout(h.ctx, readTimeout)
			defer cancel()
			if st.open(ctx) != nil {
				h.forget(st)
			}
		})
	}
	h.mu.Unlock()

	select {
	case <-st.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if st.err != nil {
		return nil, fmt.Errorf("open the stream of %q: %w", log, st.err)
	}
	return st, nil
}

// forget has the next reader of the log open a new stream.
func (h *Hub) forget(st *tail) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tails[st.log] == st {
		delete(h.tails, st.log)
	}
}

// join makes sub a reader of the log seen through f.
func (h *Hub) join(ctx context.Context, sub *Subscription, log string, f *filter.Filter) error {
	for {
		st, err := h.tail(ctx, log)
		if err != nil {
			return err
		}
		if feed := st.join(sub, f); feed != nil {
			sub.feed = feed
			return nil
		}
	}
}

// look finds what no bell and no client tells: streams whose log has moved on,
// readers that can try the log again, connections that are stuck, and streams
// that nobody reads.
func (h *Hub) look() {
	now := time.Now()
	h.mu.Lock()
	streams := maps.Clone(h.tails)
	retry := slices.Collect(maps.Keys(h.blocked))
	h.mu.Unlock()

	h.wakeStalled()
	for _, sub := range retry {
		sub.retry(now)
	}
	for log, st := range streams {
		if st.sweep(now) {
			h.forget(st)
			delete(streams, log)
		}
	}
	h.compare(streams)
}

// compare rings the streams whose log has another head than they have, and notes which
// logs cannot be asked.
func (h *Hub) compare(streams map[string]*tail) {
	heads := make(map[string]eventlog.ID, len(streams))
	for log, st := range streams {
		select {
		case <-st.ready:
			heads[log] = st.head()
		default:
		}
	}
	if len(heads) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(h.ctx, readTimeout)
	defer cancel()
	moved, silent, err := h.log.Moved(ctx, heads)
	if err != nil {
		h.unreadable("", err)
	}
	back := false
	for log := range heads {
		answers := !slices.Contains(silent, log)
		if news := streams[log].answers(answers); news && answers {
			back = true
		}
	}
	for _, log := range moved {
		streams[log].ring()
	}
	if back {
		h.wakeStalled()
	}
}

// wakeStalled has those try again who could not go on when they last tried.
func (h *Hub) wakeStalled() {
	h.mu.Lock()
	stalled := slices.Collect(maps.Keys(h.stalled))
	clear(h.stalled)
	h.mu.Unlock()
	for _, sub := range stalled {
		sub.wake()
	}
}

// unreadable reports that the log cannot be read, once in a few seconds.
func (h *Hub) unreadable(log string, err error) {
	now := time.Now().Unix()
	last := h.complain.Load()
	if h.ctx.Err() == nil && now-last >= 5 && h.complain.CompareAndSwap(last, now) {
		h.logger.Error("a log cannot be read; its readers wait", "log", log, "error", err)
	}
}

// Stats returns sizes and counts.
func (h *Hub) Stats() Stats {
	s := Stats{
		Subscriptions: h.pulse.len(),
		Delivered:     h.counts.delivered.Load(),
		Bytes:         h.counts.bytes.Load(),
		Resets:        h.counts.resets.Load(),
		Reads:         h.counts.reads.Load(),
	}
	h.mu.Lock()
	streams := maps.Clone(h.tails)
	h.mu.Unlock()
	s.Tails = len(streams)
	for _, st := range streams {
		st.mu.Lock()
		s.Feeds += len(st.feeds)
		st.mu.Unlock()
	}
	return s
}

// until returns when a subscription that begins now has lasted long enough, in
// Unix seconds: not all that began together, as after a restart, end together.
func (h *Hub) until() int64 {
	if h.maxAge <= 0 {
		return 0
	}
	return time.Now().Add(h.maxAge*9/10 + jitter(h.maxAge/5)).Unix()
}

// Drain refuses new subscriptions with [ErrDraining], answers pages that wait with
// what there is, and ends the subscriptions there are
// with a goodbye, each with its own time to come back, spread over spread.
func (h *Hub) Drain(spread time.Duration) {
	h.refuse(false)
	for _, sub := range h.pulse.all() {
		sub.End(Goodbye{Reason: "draining", Reconnect: true, Retry: retryTime + jitter(spread)})
	}
}

// refuse has the hub take nothing new, and if it is closed open nothing either.
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

// Close ends every subscription and waits for all that the hub runs.
func (h *Hub) Close() error {
	h.refuse(true)
	for _, sub := range h.pulse.all() {
		sub.Close(ErrDraining)
	}
	h.stop()
	h.workMu.Lock()
	h.over = true
	h.workMu.Unlock()
	h.work.Wait()
	return nil
}

// Why a subscription ended, besides a [Goodbye].
var (
	ErrGone     = errors.New("streams: the client left")
	ErrStuck    = errors.New("streams: the client took nothing for too long")
	ErrDraining = errors.New("streams: the gateway is shutting down")
)
