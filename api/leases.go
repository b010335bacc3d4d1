package api

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/paylogic/pushserver/ratelimit"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/filter"
)

const (
	// leaseWait is how long a batch of leases is collected.
	leaseWait = 20 * time.Millisecond

	// overLimitRetry is the shortest time before a client reconnects whose stream
	// exceeded the limit.
	overLimitRetry = time.Second

	agentMax = 128 // bytes kept of a User-Agent
)

// leaseInfo describes a stream in its lease.
type leaseInfo struct {
	Address  string   `json:"address"`
	Agent    string   `json:"user_agent,omitempty"`
	Types    []string `json:"types,omitempty"`
	Subject  string   `json:"subject,omitempty"`
	Filter   string   `json:"filter,omitempty"`
	Position string   `json:"position,omitempty"`
	Lag      int64    `json:"lag_ms,omitempty"`
}

// lease returns the connection's lease. Only other gateways read its info, so a
// gateway without others leaves it out.
func (c *connection) lease() ratelimit.Lease {
	l := ratelimit.Lease{Key: c.key, ID: c.id, Since: time.UnixMilli(c.since)}
	if c.narrowing != nil {
		l.Filter = filterName(c.narrowing)
	}
	if _, alone := c.set.server.Limiter.(*ratelimit.MemoryLimiter); !alone {
		l.Info = c.info()
	}
	return l
}

// streamLimit returns how many streams the key may have, or 0 for any number.
func (c *connection) streamLimit() int {
	s := c.set.server
	if s.Unlimited {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return s.limit(c.caller.Key, policy.Streams).Quota
}

// info returns the leaseInfo of the stream as it is now.
func (c *connection) info() []byte {
	info := leaseInfo{Address: maskAddress(c.addr), Agent: c.agent}
	if c.narrowing != nil {
		info.Types, info.Filter = c.narrowing.Types, c.narrowing.Filter
		info.Subject = strings.Join(c.narrowing.Subjects, ",")
	}
	c.mu.Lock()
	sub := c.sub
	c.mu.Unlock()
	if sub != nil {
		pos, behind := sub.Progress()
		if !pos.IsZero() {
			info.Position = pos.String()
		}
		if behind && !pos.IsZero() && !pos.IsOrigin() {
			info.Lag = max(0, time.Since(pos.Time()).Milliseconds())
		}
	}
	text, err := json.Marshal(info)
	if err != nil {
		panic("api: a lease is not JSON: " + err.Error())
	}
	return text
}

// filterName names a narrowing alike on all gateways. A key has few, so 64 bits
// are enough.
func filterName(narrowing *filter.Clause) string {
	h := fnv.New64a()
	_, _ = io.WriteString(h, clauseKey([]filter.Clause{*narrowing})) // a hash never fails
	return strconv.FormatUint(h.Sum64(), 36)
}

// maskAddress hides which client an address belongs to: it drops the last byte, or
// the last 80 bits of an IPv6 address.
func maskAddress(addr netip.Addr) string {
	switch {
	case addr.Is4():
		text := addr.String()
		return text[:strings.LastIndexByte(text, '.')] + ".x"
	case addr.Is6():
		prefix, err := addr.Prefix(48)
		if err == nil {
			return prefix.String()
		}
	}
	return "unknown"
}

// A leaseQueue reports leases to the limiter in batches, off the request path:
// leases that it did not grant, and leases that ended.
type leaseQueue struct {
	limiter Limiter
	wake    chan struct{}

	mu    sync.Mutex // guards the following
	begun []ratelimit.Lease
	ended []ratelimit.Lease
}

func newLeaseQueue(l Limiter) *leaseQueue {
	return &leaseQueue{limiter: l, wake: make(chan struct{}, 1)}
}

// begin reports a lease that the limiter was not asked for.
func (q *leaseQueue) begin(l ratelimit.Lease) { q.add(&q.begun, l) }

// end gives a lease back.
func (q *leaseQueue) end(l ratelimit.Lease) { q.add(&q.ended, l) }

func (q *leaseQueue) add(to *[]ratelimit.Lease, l ratelimit.Lease) {
	q.mu.Lock()
	*to = append(*to, l)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run reports until ctx is done, and then reports the rest.
func (q *leaseQueue) run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-q.wake:
		case <-ctx.Done():
		}
		select {
		case <-time.After(leaseWait):
		case <-ctx.Done():
		}
		q.flush()
	}
	q.flush() // the leases added during the last one
}

func (q *leaseQueue) flush() {
	q.mu.Lock()
	begun, ended := q.begun, q.ended
	q.begun, q.ended = nil, nil
	q.mu.Unlock()
	if len(begun) > 0 && len(ended) > 0 {
		short := make(map[string]bool, len(ended))
		for _, l := range ended {
			short[l.ID] = true
		}
		begun = slices.DeleteFunc(begun, func(l ratelimit.Lease) bool { return short[l.ID] })
	}
	// Both calls have deadlines of their own. If one fails, the next renewal or the
	// lease's expiry makes up for it.
	if len(begun) > 0 {
		_, _ = q.limiter.Renew(context.Background(), begun)
	}
	if len(ended) > 0 {
		q.limiter.Release(context.Background(), ended...)
	}
}

// renew keeps the leases of this gateway's streams until ctx is done. It ends
// streams whose leases have ended and streams beyond the limit.
func (s *Server) renew(ctx context.Context) {
	ticker := time.NewTicker(ratelimit.RenewEvery)
	defer ticker.Stop()
	for {
		s.renewOnce(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Server) renewOnce(ctx context.Context) {
	all := s.connections.all()
	held := make([]ratelimit.Lease, 0, len(all))
	for _, c := range all {
		if c.holds.Load() {
			l := c.lease()
			l.Limit = c.streamLimit()
			held = append(held, l)
		}
	}
	found, err := s.Limiter.Renew(ctx, held)
	if err != nil && ctx.Err() == nil {
		s.Logger.Debug("some leases were not renewed", "error", err)
	}
	for _, l := range found.Ended {
		s.endConnection(l.Key, l.ID, streams.Goodbye{Reason: endedByRequest, Retry: goodbyeForGood})
	}
	for _, l := range found.Surplus {
		s.endConnection(l.Key, l.ID, streams.Goodbye{
			Reason: endedByLimit, Reconnect: true, Retry: overLimitRetry + rand.N(overLimitRetry),
		})
	}
}
