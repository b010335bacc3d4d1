package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"context"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/filter"
)

// verifyEvery is the time between two checks of all open streams' keys, for a
// change whose notice got lost.
const verifyEvery = 30 * time.Second

// Tests shorten these.
var (
	// watchWait is how long one look at the control log takes if nothing
	// happens. It is far less than staleAfter, which it must notice.
	watchWait = 10 * time.Second

	// staleAfter is how long a gateway vouches for open streams although it
	// cannot hear of changes: as long as a cached key is believed.
	staleAfter = auth.StaleLimit
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
	s.follow(ctx, auth.ControlLog, s.Keyring.Reset, func(began time.Time, page streams.Page) {
		if page.Reset != nil {
			// Notices may be missing: nothing that is cached is sure.
			s.Keyring.Reset()
			s.recheckAll(ctx)
		}
		for i := range page.Entries {
			s.heed(ctx, page.Entries[i].Event.Data)
		}
		select {
		case heard <- began:
		case <-ctx.Done():
		}
	})
}

// follow tails a log of the program's own from its head, until ctx is done. It
// calls begin when it knows the head, and then turn with each page and when it
// began to ask for it.
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
			// Once it can be read again, that is known at once and not after a wait.
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

// wait returns after d, or when ctx is done.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// heed takes notice of one change.
func (s *Server) heed(ctx context.Context, data []byte) {
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
