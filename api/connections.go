package api

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/filter"
)

// expiringNotice is how long before its end a stream is told of it.
const expiringNotice = time.Minute

// goodbyeForGood is when a client may come back for whom coming back is
// pointless as things are.
const goodbyeForGood = time.Hour

// A connection is one open stream, and why it may be. There are many, so it is
// small.
type connection struct {
	among *connections
	key   string // id of the caller's
	id    string
	since int64 // in Unix ms
	addr  netip.Addr
	agent string         // of the client, as it says
	holds atomic.Bool    // it has a lease
	owed  int32          // events that were read from the log for it and not charged; its reader's
	slot  int            // in among, which guards it; -1 once it has left
	asked *filter.Clause // what its request narrowed; nil: nothing

	mu     sync.Mutex // guards the following
	caller caller
	filter *filter.Filter        // that it has
	sub    *streams.Subscription // nil while it is being opened
	stale  bool                  // what the caller may see has changed while it was being opened
	over   *streams.Goodbye      // ended while it was being opened
	told   int64                 // the end that it was told of, in Unix seconds
}

// left is to be called when the stream has ended.
func (c *connection) left() {
	if c.among.remove(c) && c.holds.Load() {
		c.among.release(ratelimit.Lease{Key: c.key, ID: c.id})
	}
}

// connections are the open streams of this gateway.
type connections struct {
	server  *Server
	release func(ratelimit.Lease)

	mu    sync.Mutex               // guards the following
	byKey map[string][]*connection // by the id of the caller's key
	timed map[*connection]bool     // those whose credential ends
}

func newConnections() *connections {
	return &connections{byKey: make(map[string][]*connection), timed: make(map[*connection]bool)}
}

// add makes c one of the connections. From then on no change of its key is
// missed.
func (cs *connections) add(c *connection) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	of := cs.byKey[c.key]
	c.slot = len(of)
	cs.byKey[c.key] = append(of, c)
}

// remove ends what add began, and reports whether it had begun and not ended.
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
	return true
}

// of returns the connections of a key.
func (cs *connections) of(key string) []*connection {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return slices.Clone(cs.byKey[key])
}

// find returns a connection of a key by its id, or nil.
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

// all returns every connection.
func (cs *connections) all() []*connection {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return slices.Concat(slices.Collect(maps.Values(cs.byKey))...)
}

// ending returns those whose credential ends.
func (cs *connections) ending() []*connection {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return slices.Collect(maps.Keys(cs.timed))
}

// time has the connection ended with its credential, if that ends.
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

// begin gives the connection its subscription. It reports false if what the
// caller may see has changed since it was found out: then it is to be found out
// again.
func (c *connection) begin(sub *streams.Subscription, who *caller, f *filter.Filter) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stale {
		c.stale = false
		return false
	}
	c.caller, c.sub, c.filter = *who, sub, f
	if c.over != nil {
		sub.End(*c.over)
	}
	return true
}

// end ends the stream with a goodbye, if need be as soon as it has begun.
func (c *connection) end(g streams.Goodbye) {
	c.mu.Lock()
	sub := c.sub
	if sub == nil && c.over == nil {
		c.over = &g
	}
	c.mu.Unlock()
	if sub != nil {
		sub.End(g)
	}
}

// recheck finds out what the connection may see now: all that it did, something
// else, or nothing.
func (s *Server) recheck(ctx context.Context, c *connection) {
	c.mu.Lock()
	was, opening := c.caller, c.sub == nil
	c.stale = opening
	c.mu.Unlock()
	if opening {
		return
	}
	now, err := was.again(ctx, s.Keyring)
	switch {
	case errors.Is(err, auth.ErrUnavailable), ctx.Err() != nil:
		return // the next check may find out; in the end the stream is stale
	case err != nil:
		c.end(streams.Goodbye{Reason: goodbyeReason(err), Retry: goodbyeForGood})
		return
	case !now.May(auth.Stream):
		c.end(streams.Goodbye{Reason: "scope_removed", Retry: goodbyeForGood})
		return
	}
	clauses := now.clauses()
	if c.asked != nil {
		clauses = append(clauses, *c.asked)
	}
	f, err := s.filters.compile(clauses...)
	if err != nil {
		s.Logger.Error("what a key may see cannot be compiled: its stream ends", "key", now.ID, "error", err)
		c.end(streams.Goodbye{Reason: "scope_removed", Retry: goodbyeForGood})
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Revision < c.caller.Revision {
		return // somebody else found out more
	}
	c.caller = *now
	s.connections.time(c, !now.ends().IsZero())
	if f.Key() != c.filter.Key() {
		c.filter = f
		c.sub.Rescope(f, scopeOf(now))
	}
}

// goodbyeReason says why a credential is no longer taken.
func goodbyeReason(err error) string {
	if errors.Is(err, auth.ErrExpired) || errors.Is(err, auth.ErrTokenExpired) {
		return "session_ended"
	}
	return "key_revoked"
}

// scopeOf returns the data of stream.scope: the clause of the key, with its types
// always there.
func scopeOf(c *caller) filter.Clause {
	scope := c.Clause
	if len(scope.Types) == 0 {
		scope.Types = []string{"*"}
	}
	return scope
}

// sweep tells the streams whose credentials end soon, and ends those whose have.
func (s *Server) sweep(now time.Time) {
	for _, c := range s.connections.ending() {
		c.mu.Lock()
		ends, sub := c.caller.ends(), c.sub
		tell := sub != nil && !ends.IsZero() && c.told != ends.Unix() && ends.Sub(now) <= expiringNotice
		if tell {
			c.told = ends.Unix()
		}
		c.mu.Unlock()
		switch {
		case ends.IsZero() || sub == nil:
		case !now.Before(ends):
			c.end(streams.Goodbye{Reason: "session_ended", Retry: goodbyeForGood})
		case tell:
			sub.Say("stream.expiring", map[string]any{
				"at": ends.UTC().Format(time.RFC3339Nano), "in_ms": ends.Sub(now).Milliseconds(),
			})
		}
	}
}
