package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/paylogic/pushserver/ratelimit"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/filter"
)

const (
	// endedLog is where gateways learn that a stream of theirs was ended by
	// somebody elsewhere. No merchant can have its name.
	endedLog = "_connections"

	// leaseWait is how long leases are collected before the limiter is told of them.
	leaseWait = 20 * time.Millisecond

	// overLimitRetry is the shortest time after which a client reconnects whose
	// stream ended because it exceeded the limit.
	overLimitRetry = time.Second

	agentMax = 128 // bytes of a user agent that are kept
)

// leaseInfo is what a lease says of a stream.
type leaseInfo struct {
	Address  string   `json:"address"`
	Agent    string   `json:"user_agent,omitempty"`
	Types    []string `json:"types,omitempty"`
	Subject  string   `json:"subject,omitempty"`
	Filter   string   `json:"filter,omitempty"`
	Position string   `json:"position,omitempty"`
	Lag      int64    `json:"lag_ms,omitempty"`
}

// An openConnection is a stream as GET /v1/connections shows it.
type openConnection struct {
	ID      string    `json:"id"`
	Since   time.Time `json:"since"`
	Gateway string    `json:"gateway,omitempty"`
	leaseInfo
	Lag int64 `json:"lag_ms"` // also if it is none
}

// openConnections reads leases. Of those of this gateway it is known how they are
// now; what another version has written into one is left out.
func (s *Server) openConnections(leases []ratelimit.Lease) []openConnection {
	all := make([]openConnection, len(leases))
	for i, l := range leases {
		if own := s.connections.find(l.Key, l.ID); own != nil {
			l.Info = own.info()
		}
		all[i] = openConnection{ID: l.ID, Since: l.Since.UTC(), Gateway: l.Gateway}
		_ = json.Unmarshal(l.Info, &all[i].leaseInfo)
		all[i].Lag = all[i].leaseInfo.Lag
	}
	return all
}

// lease returns what the connection holds. What it says of itself is for other
// gateways; where there are none it is left out.
func (c *connection) lease() ratelimit.Lease {
	l := ratelimit.Lease{Key: c.key, ID: c.id, Since: time.UnixMilli(c.since)}
	if c.asked != nil {
		l.Filter = filterName(c.asked)
	}
	if _, alone := c.among.server.Limiter.(*ratelimit.MemoryLimiter); !alone {
		l.Info = c.info()
	}
	return l
}

// streamLimit returns how many streams the key may have, or 0 for any number.
func (c *connection) streamLimit() int {
	s := c.among.server
	if s.Unlimited {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return s.limit(c.caller.Key, policy.Streams).Quota
}

// info says how the stream is now.
func (c *connection) info() []byte {
	info := leaseInfo{Address: maskAddress(c.addr), Agent: c.agent}
	if c.asked != nil {
		info.Types, info.Filter = c.asked.Types, c.asked.Filter
		info.Subject = strings.Join(c.asked.Subjects, ",")
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
		panic("api: a lease cannot be written: " + err.Error()) // texts and a number
	}
	return text
}

// filterName tells what a request asks for from others, on all gateways. There are
// few of a key, so that two that differ have the same name about never.
func filterName(asked *filter.Clause) string {
	h := fnv.New64a()
	io.WriteString(h, clauseKey([]filter.Clause{*asked}))
	return strconv.FormatUint(h.Sum64(), 36)
}

// maskAddress shows where a client is, and not who: without the last byte, or the
// last 80 bits of an IPv6 address.
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

// A leaseQueue tells the limiter of leases, many at a time and in nobody's way: of
// those that it did not give, and of those that are over.
type leaseQueue struct {
	limiter Limiter
	wake    chan struct{}

	mu    sync.Mutex // guards the following
	begun []ratelimit.Lease
	over  []ratelimit.Lease
}

func newLeaseQueue(l Limiter) *leaseQueue {
	return &leaseQueue{limiter: l, wake: make(chan struct{}, 1)}
}

// begin has a lease held soon that the limiter was not asked for.
func (q *leaseQueue) begin(l ratelimit.Lease) { q.add(&q.begun, l) }

// end has a lease given back soon.
func (q *leaseQueue) end(l ratelimit.Lease) { q.add(&q.over, l) }

func (q *leaseQueue) add(to *[]ratelimit.Lease, l ratelimit.Lease) {
	q.mu.Lock()
	*to = append(*to, l)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run tells the limiter until ctx is done, and then what is left.
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
	q.flush() // what came while the last one was under way
}

func (q *leaseQueue) flush() {
	q.mu.Lock()
	begun, over := q.begun, q.over
	q.begun, q.over = nil, nil
	q.mu.Unlock()
	if len(begun) > 0 && len(over) > 0 { // some were short
		ended := make(map[string]bool, len(over))
		for _, l := range over {
			ended[l.ID] = true
		}
		begun = slices.DeleteFunc(begun, func(l ratelimit.Lease) bool { return ended[l.ID] })
	}
	// Both have deadlines of their own. What fails is done by the next renewal, or by
	// time.
	if len(begun) > 0 {
		_, _ = q.limiter.Renew(context.Background(), begun)
	}
	if len(over) > 0 {
		q.limiter.Release(context.Background(), over...)
	}
}

// renew keeps the leases of this gateway's streams until ctx is done, and ends
// the streams whose leases are over.
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
		s.endConnection(l.Key, l.ID, goodbyeBecause(endedByRequest))
	}
	for _, l := range found.Surplus {
		s.endConnection(l.Key, l.ID, streams.Goodbye{
			Reason: endedByLimit, Reconnect: true, Retry: overLimitRetry + rand.N(overLimitRetry),
		})
	}
}

// Why a stream is ended whose key still stands.
const (
	endedByRequest  = "connection_ended"
	endedByTakeover = "taken_over"
	endedByLimit    = "over_limit"
)

// goodbyeBecause is to a stream that somebody has ended who has its key.
func goodbyeBecause(reason string) streams.Goodbye {
	return streams.Goodbye{Reason: reason, Retry: goodbyeForGood}
}

// endConnection ends a stream of this gateway, and reports whether it has it.
func (s *Server) endConnection(key, id string, why streams.Goodbye) bool {
	c := s.connections.find(key, id)
	if c != nil {
		c.end(why)
	}
	return c != nil
}

// An endedNotice says that a stream was ended by somebody elsewhere.
type endedNotice struct {
	Key        string `json:"key"`
	Connection string `json:"connection"`
	Reason     string `json:"reason"`
}

// announceEnd ends a stream whose lease is over wherever it is. A gateway that
// does not hear of it finds out when it renews its leases.
func (s *Server) announceEnd(ctx context.Context, l ratelimit.Lease, reason string) {
	if s.endConnection(l.Key, l.ID, goodbyeBecause(reason)) {
		return
	}
	data, err := json.Marshal(endedNotice{l.Key, l.ID, reason})
	if err == nil {
		_, err = s.Log.Append(ctx, endedLog, []eventlog.Event{{
			ID: uuid.Must(uuid.NewV7()).String(), Source: "/connections", Type: "connection.ended", Subject: l.ID,
			Time: time.Now().UTC().Format(time.RFC3339Nano), Merchant: endedLog, Data: data,
		}})
	}
	if err != nil {
		s.Logger.Debug("the end of a stream was not announced", "error", err)
	}
}

// followEnded ends the streams of this gateway of which somebody says so, until
// ctx is done.
func (s *Server) followEnded(ctx context.Context) {
	s.follow(ctx, endedLog, func() {}, func(_ time.Time, page streams.Page) {
		for i := range page.Entries {
			var notice endedNotice
			if err := json.Unmarshal(page.Entries[i].Event.Data, &notice); err == nil {
				s.endConnection(notice.Key, notice.Connection, goodbyeBecause(notice.Reason))
			}
		}
	})
}

// endByRequest ends a stream of a key, wherever it is. Errors are those of
// [ratelimit.Leases].
func (s *Server) endByRequest(ctx context.Context, key, id string) (openConnection, error) {
	l, err := s.Limiter.End(ctx, key, id)
	if errors.Is(err, ratelimit.ErrNoLease) {
		if own := s.connections.find(key, id); own != nil { // the limiter has not heard of it yet
			l, err = own.lease(), nil
		}
	}
	if err != nil {
		return openConnection{}, err
	}
	was := s.openConnections([]ratelimit.Lease{l})[0]
	s.announceEnd(ctx, l, endedByRequest)
	return was, nil
}
