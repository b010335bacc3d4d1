package api

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paylogic/pushserver/ratelimit"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/filter"
)

// goodbyeForGood is when a client may reconnect whose key no longer opens streams.
const goodbyeForGood = time.Hour

// Reasons for which a stream ends although its key is valid.
const (
	endedByRequest  = "connection_ended"
	endedByTakeover = "taken_over"
	endedByLimit    = "over_limit"
	endedStale      = "auth_stale" // the key cannot be verified
)

// A connection is one open stream, or one page until it is written. There are
// many, so it is small.
type connection struct {
	set       *connections
	key       string // id of the caller's key
	id        string
	since     int64 // in Unix ms
	addr      netip.Addr
	agent     string         // the client's User-Agent
	holds     atomic.Bool    // it has a lease
	unbilled  int32          // events replayed and not yet charged; its reader owns it
	slot      int            // in set, which guards it; -1 once it has left
	narrowing *filter.Clause // what its request narrowed; nil: nothing
	page      *reading       // nil: it is a stream

	mu         sync.Mutex // guards the following
	caller     caller
	filter     *filter.Filter        // in use
	sub        *streams.Subscription // nil while the stream opens, and for a page
	stale      bool                  // the key changed while the stream opened
	pendingEnd *streams.Goodbye      // to send once the stream is open
	toldExpiry int64                 // the end that the client was told of, in Unix seconds
}

// left must be called when the stream has ended.
func (c *connection) left() {
	if c.set.remove(c) && c.holds.Load() {
		c.set.release(ratelimit.Lease{Key: c.key, ID: c.id})
	}
}

// connections are the open streams of this gateway.
type connections struct {
	server  *Server
	release func(ratelimit.Lease)

	mu    sync.Mutex                // guards the following
	byKey map[string][]*connection  // by the id of the caller's key
	timed map[*connection]bool      // connections whose credential expires
	uses  map[string]map[string]int // by key and filter, how many streams and waiting pages use it
}

func newConnections() *connections {
	return &connections{
		byKey: make(map[string][]*connection), timed: make(map[*connection]bool),
		uses: make(map[string]map[string]int),
	}
}

// add makes c one of the connections. From then on it misses no change of its
// key.
func (cs *connections) add(c *connection) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.put(c)
}

// admit is add for a page that waits. It reports false, and does not add c, if
// the key's streams and waiting pages on this gateway would then have more than
// most different filters.
func (cs *connections) admit(c *connection, most int) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	used := cs.uses[c.key]
	if name := c.filterName(); name != "" && used[name] == 0 && len(used) >= most {
		return false
	}
	cs.put(c)
	return true
}

// put is add with the mutex held.
func (cs *connections) put(c *connection) {
	of := cs.byKey[c.key]
	c.slot = len(of)
	cs.byKey[c.key] = append(of, c)
	if name := c.filterName(); name != "" {
		if cs.uses[c.key] == nil {
			cs.uses[c.key] = make(map[string]int)
		}
		cs.uses[c.key][name]++
	}
}

// filterName returns the name of the filter that counts among those of the
// connection's key, or "".
func (c *connection) filterName() string {
	if c.narrowing == nil || c.page != nil && !c.page.waits {
		return ""
	}
	return filterName(c.narrowing)
}

// remove takes c out, and reports whether it was in.
func (cs *connections) remove(c *connection) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c.slot < 0 {
		return false
	}
	delete(cs.timed, c)
	of := cs.byKey[c.key]
	last := len(of) - 1
	of[c.slot] = of[last]
	of[c.slot].slot = c.slot
	of[last], c.slot = nil, -1
	if cs.byKey[c.key] = of[:last]; last == 0 {
		delete(cs.byKey, c.key)
	}
	if name := c.filterName(); name != "" {
		used := cs.uses[c.key]
		if used[name]--; used[name] == 0 {
			delete(used, name)
		}
		if len(used) == 0 {
			delete(cs.uses, c.key)
		}
	}
	return true
}

func (cs *connections) of(key string) []*connection {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return slices.Clone(cs.byKey[key])
}

// find returns the connection of a key with this id, or nil.
func (cs *connections) find(key, id string) *connection {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, c := range cs.byKey[key] {
		if c.id == id {
			return c
		}
	}
	return nil
}

func (cs *connections) all() []*connection {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return slices.Concat(slices.Collect(maps.Values(cs.byKey))...)
}

// ending returns the connections whose credential expires.
func (cs *connections) ending() []*connection {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return slices.Collect(maps.Keys(cs.timed))
}

// time says whether the connection's credential expires.
func (cs *connections) time(c *connection, ends bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	switch {
	case !ends:
		delete(cs.timed, c)
	case c.slot >= 0:
		cs.timed[c] = true
	}
}

// begin gives the connection its subscription. It reports false if the key has
// changed since the caller was recognised; the caller must then start again.
func (c *connection) begin(sub *streams.Subscription, who *caller, f *filter.Filter) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stale {
		c.stale = false
		return false
	}
	c.caller, c.sub, c.filter = *who, sub, f
	if c.pendingEnd != nil {
		sub.End(*c.pendingEnd)
	}
	return true
}

// end ends the stream with a goodbye, or as soon as it is open. A page that waits
// looks at its caller again and answers why it ends.
func (c *connection) end(g streams.Goodbye) {
	c.mu.Lock()
	sub := c.sub
	if sub == nil && c.pendingEnd == nil {
		c.pendingEnd = &g
	}
	if c.page != nil {
		c.page.interrupt()
	}
	c.mu.Unlock()
	if sub != nil {
		sub.End(g)
	}
}

// A reading is what a connection has that is a page. Until it is written it is a
// reader like a stream: a change of its key reaches it.
type reading struct {
	scope     string // that its caller must have
	waits     bool   // its filter counts among those of its key
	interrupt func() // makes it look at its caller again; the connection's mutex guards it
}

// beginReading makes a page one of the connections of its key. It is a problem if
// the page waits and the key has too many filters. The caller calls endReading.
func (s *Server) beginReading(who *caller, scope string, v view, waits bool) (*connection, error) {
	c := &connection{
		set: s.connections, key: who.ID, caller: *who, filter: v.filter, narrowing: v.narrowing,
		page: &reading{scope: scope, waits: waits, interrupt: func() {}},
	}
	if limit := s.limit(who.Key, policy.Filters); !waits {
		s.connections.add(c)
	} else if !s.connections.admit(c, limit.Quota) {
		return nil, s.quotaProblem(ratelimit.Verdict{Decisions: []ratelimit.Decision{{Policy: limit, Retry: time.Second}}}, who)
	}
	s.connections.time(c, !who.ends().IsZero())
	return c, nil
}

// endReading must be called when the page is written. No change reaches it then: the
// response's connection may serve another request.
func (c *connection) endReading() {
	c.left()
	c.onInterrupt(func() {})
}

// onInterrupt sets what a change of the page's key calls from now on.
func (c *connection) onInterrupt(call func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.page.interrupt = call
}
