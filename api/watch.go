package api

import (
	"context"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/filter"
)

const (
	// watchWait is how long one look at the control log takes if nothing
	// happens. It is far less than staleAfter, which it must notice.
	watchWait = 10 * time.Second

	// staleAfter is how long a gateway vouches for open streams although it
	// cannot hear of changes: as long as a cached key is believed.
	staleAfter = auth.StaleLimit

	// verifyEvery is the time between two checks of all open streams' keys, for
	// a change whose notice got lost.
	verifyEvery = 30 * time.Second
)

// watch keeps what open streams may see up to date until ctx is done: it tails
// the control log, verifies all keys now and then, and ends what it can no longer
// vouch for.
func (s *Server) watch(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	heard := make(chan time.Time, 1)
	s.running.Go(func() { s.followControl(ctx, heard) })
	fresh, verified := time.Now(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case fresh = <-heard:
			continue
		case now := <-ticker.C:
			s.sweep(now)
			if now.Sub(fresh) > staleAfter {
				for _, c := range s.connections.all() {
					c.end(streams.Goodbye{Reason: "auth_stale", Reconnect: true, Retry: 3 * time.Second})
				}
			}
			if now.Sub(verified) > verifyEvery {
				verified = now
				s.running.Go(func() { s.recheckAll(ctx) })
			}
		}
	}
}

// recheckAll checks every open stream.
func (s *Server) recheckAll(ctx context.Context) {
	for _, c := range s.connections.all() {
		s.recheck(ctx, c)
	}
}

// followControl tails the control log, and says when it was last up to date.
func (s *Server) followControl(ctx context.Context, heard chan<- time.Time) {
	all, err := filter.Compile()
	if err != nil {
		panic("api: a filter without clauses does not compile: " + err.Error())
	}
	req := streams.PageRequest{Log: auth.ControlLog, Filter: all, Limit: pageMax, Wait: watchWait}
	for ctx.Err() == nil {
		began := time.Now()
		if req.After.IsZero() {
			req.After, err = s.controlHead(ctx)
		}
		var page streams.Page
		if err == nil {
			page, err = s.hub.Page(ctx, req)
		}
		if err != nil {
			req.After, err = s.retryControl(ctx, req.After)
			continue
		}
		if page.Reset != nil {
			// Notices may be missing: nothing that is cached is sure.
			page.Cursor = page.Reset.After
			s.keyring.Reset()
			s.recheckAll(ctx)
		}
		for i := range page.Entries {
			s.heed(ctx, page.Entries[i].Event.Data)
		}
		req.After = page.Cursor
		select {
		case heard <- began:
		case <-ctx.Done():
		}
	}
}

// controlHead returns the position from which on changes are to be heard. What
// was cached before may be older.
func (s *Server) controlHead(ctx context.Context) (streams.ID, error) {
	bounds, err := s.log.Bounds(ctx, auth.ControlLog)
	if err == nil {
		s.keyring.Reset()
	}
	return bounds.Head, err
}

// retryControl waits a little before the control log is looked at again from the
// same position.
func (s *Server) retryControl(ctx context.Context, after streams.ID) (streams.ID, error) {
	timer := time.NewTimer(250 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return after, nil
}

// heed takes notice of one change.
func (s *Server) heed(ctx context.Context, data []byte) {
	change, err := auth.ParseChange(data)
	if err != nil {
		s.logger.Error("a change of a key cannot be read: all keys are read anew", "error", err)
		s.keyring.Reset()
		s.recheckAll(ctx)
		return
	}
	s.keyring.Apply(change)
	for _, c := range s.connections.of(change.Key) {
		s.recheck(ctx, c)
	}
}
