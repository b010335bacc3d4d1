package api

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

const (
	// verifyEvery is the time between two checks of all open streams' keys. It
	// bounds how long a lost notice delays a change.
	verifyEvery = 30 * time.Second

	// expiringNotice is how long before its end a stream is told of it.
	expiringNotice = time.Minute
)

// Tests shorten these.
var (
	// watchWait is how long one read of the control log waits for an entry. It is
	// far less than staleAfter.
	watchWait = 10 * time.Second

	// staleAfter is how long streams stay open while the control log cannot be
	// read: as long as a cached key is valid.
	staleAfter = auth.StaleLimit
)

// watch applies changes of keys to open streams until ctx is done. It follows the
// control log, verifies all keys periodically, and ends streams whose keys it can
// no longer verify.
func (s *Server) watch(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	heard := make(chan time.Time, 1)
	s.running.Go(func() { s.followControl(ctx, heard) })
	fresh, verified := time.Now(), time.Now()
	var rechecking atomic.Bool
	for {
		select {
		case <-ctx.Done():
			return
		case fresh = <-heard:
			continue
		case now := <-ticker.C:
			s.sweep(now)
			if silence := now.Sub(fresh); silence > staleAfter {
				for _, c := range s.connections.all() {
					c.end(streams.Goodbye{Reason: endedStale, Reconnect: true, Retry: staleRetry(silence)})
				}
			}
			if now.Sub(verified) > verifyEvery && rechecking.CompareAndSwap(false, true) {
				verified = now
				s.running.Go(func() {
					defer rechecking.Store(false)
					s.recheckAll(ctx)
				})
			}
		}
	}
}

// staleRetry returns how long a stream that ends as stale waits before it comes
// back. All streams end at once, so each has a time of its own, within half of how
// long the control log has been silent.
func staleRetry(silence time.Duration) time.Duration {
	return 3*time.Second + rand.N(silence/2)
}

// recheckAll is not called again before it has returned. While the keys' storage
// does not answer, each check takes its time.
func (s *Server) recheckAll(ctx context.Context) {
	for _, c := range s.connections.all() {
		s.recheck(ctx, c)
	}
}

// recheck applies the present state of the caller's key to the connection: its
// stream goes on, sees something else, or ends.
func (s *Server) recheck(ctx context.Context, c *connection) {
	c.mu.Lock()
	was, opening, scope := c.caller, c.sub == nil && c.page == nil, auth.Stream
	if c.page != nil {
		scope = c.page.scope
	}
	c.stale = opening
	c.mu.Unlock()
	if opening {
		return
	}
	now, err := was.again(ctx, s.Keyring)
	switch {
	case errors.Is(err, auth.ErrUnavailable), ctx.Err() != nil:
		return // a later check decides, or the stream ends as stale
	case err != nil:
		c.end(streams.Goodbye{Reason: goodbyeReason(err), Retry: goodbyeForGood})
		return
	case !now.May(scope):
		c.end(streams.Goodbye{Reason: "scope_removed", Retry: goodbyeForGood})
		return
	}
	f, err := s.filterFor(now, c.narrowing)
	if err != nil {
		s.Logger.Error("what a key may see cannot be compiled: its stream ends", "key", now.ID, "error", err)
		c.end(streams.Goodbye{Reason: "scope_removed", Retry: goodbyeForGood})
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Revision < c.caller.Revision {
		return // another check saw a newer state
	}
	c.caller = *now
	s.connections.time(c, !now.ends().IsZero())
	if f.Key() != c.filter.Key() {
		c.filter = f
		if c.page != nil {
			c.page.interrupt()
			return
		}
		c.sub.Rescope(f, scopeOf(now))
	}
}

// look returns what the caller of a page sees now, or the problem that it may not
// read the page.
func (s *Server) look(ctx context.Context, c *connection) (*filter.Filter, error) {
	c.mu.Lock()
	was, end := c.caller, c.pendingEnd
	c.pendingEnd = nil
	c.mu.Unlock()
	if end != nil && end.Reason == endedStale {
		return nil, fmt.Errorf("a page of %s ends: %w", was.ID, auth.ErrUnavailable)
	}
	now, err := was.again(ctx, s.Keyring)
	if err == nil {
		err = now.admit(c.page.scope)
	}
	if err != nil {
		return nil, err
	}
	f, err := s.narrow(now, c.narrowing)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Revision >= c.caller.Revision {
		c.caller, c.filter = *now, f
	}
	return f, nil
}

// lastLook is look before a page is written. A change that comes while the client
// takes the answer cuts it off.
func (s *Server) lastLook(w http.ResponseWriter, r *http.Request, c *connection) (*filter.Filter, error) {
	control := http.NewResponseController(w)
	c.onInterrupt(func() { _ = control.SetWriteDeadline(time.Now()) }) // before the look, so that no change falls between
	return s.look(r.Context(), c)
}

// goodbyeReason says why a credential is no longer valid.
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

// sweep announces to streams that their credentials expire soon, and ends the
// streams whose credentials have expired.
func (s *Server) sweep(now time.Time) {
	for _, c := range s.connections.ending() {
		c.mu.Lock()
		ends, sub := c.caller.ends(), c.sub
		page := c.page != nil
		tell := sub != nil && !ends.IsZero() && c.toldExpiry != ends.Unix() && ends.Sub(now) <= expiringNotice
		if tell {
			c.toldExpiry = ends.Unix()
		}
		c.mu.Unlock()
		switch {
		case ends.IsZero() || sub == nil && !page:
		case !now.Before(ends):
			c.end(streams.Goodbye{Reason: "session_ended", Retry: goodbyeForGood})
		case tell:
			sub.Say("stream.expiring", map[string]any{
				"at": ends.UTC().Format(time.RFC3339Nano), "in_ms": ends.Sub(now).Milliseconds(),
			})
		}
	}
}

// followControl follows the control log, and sends the time at which each
// successful read began.
func (s *Server) followControl(ctx context.Context, heard chan<- time.Time) {
	s.follow(ctx, auth.ControlLog, s.Keyring.Reset, func(began time.Time, page streams.Page) {
		if page.Reset != nil {
			// Notices may be missing, so the cache cannot be trusted.
			s.Keyring.Reset()
			s.recheckAll(ctx)
		}
		for i := range page.Entries {
			s.applyChange(ctx, page.Entries[i].Event.Data)
		}
		select {
		case heard <- began:
		case <-ctx.Done():
		}
	})
}

// follow reads an internal log from its head on, until ctx is done. It calls begin
// when it knows the head, and then turn with each page and the time at which the
// read of this page began.
func (s *Server) follow(ctx context.Context, log string, begin func(), turn func(began time.Time, page streams.Page)) {
	all, err := filter.Compile()
	if err != nil {
		panic("api: a filter without clauses does not compile: " + err.Error())
	}
	req := streams.PageRequest{Log: log, Filter: all, Limit: pageMax}
	for ctx.Err() == nil {
		began := time.Now()
		if req.Start.After.IsZero() {
			var bounds eventlog.Bounds
			if bounds, err = s.Log.Bounds(ctx, log); err == nil {
				req.Start.After = bounds.Head
				begin()
			}
		}
		var page streams.Page
		if err == nil {
			page, err = s.Hub.Page(ctx, req)
		}
		if err != nil {
			// The next read must not wait, so that a recovery shows at once.
			err, req.Wait = nil, 0
			wait(ctx, 250*time.Millisecond)
			continue
		}
		req.Wait = watchWait
		if page.Reset != nil {
			page.Cursor = page.Reset.After
		}
		req.Start.After = page.Cursor
		turn(began, page)
	}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// applyChange applies one change of a key to the cache and the open streams.
func (s *Server) applyChange(ctx context.Context, data []byte) {
	change, err := auth.ParseChange(data)
	if err != nil {
		s.Logger.Error("a change of a key cannot be read: all keys are read anew", "error", err)
		s.Keyring.Reset()
		s.recheckAll(ctx)
		return
	}
	s.Keyring.Apply(change)
	for _, c := range s.connections.of(change.Key) {
		s.recheck(ctx, c)
	}
}
