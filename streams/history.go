package streams

import (
	"context"
	"errors"
	"time"

	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

// A PageRequest asks for a part of a feed.
type PageRequest struct {
	Log    string
	Filter *filter.Filter
	Start  Start
	Limit  int           // events at most
	Wait   time.Duration // how long to wait for a first event
}

// A Page is a part of a feed.
type Page struct {
	Entries []eventlog.Entry
	Cursor  eventlog.ID // the position to go on after; it also passes events that the filter left out
	More    bool        // there was more at that moment
	Reset   *Reset      // set if completeness cannot be proved; then there are no entries
	Read    int         // entries of the log that were read
}

// A page answers with what it has after so many entries or bytes: a filter that
// seldom matches does not hold up the client, and large events do not fill the
// memory.
const (
	scanLimit = 20_000    // entries
	pageLimit = 256 << 10 // bytes, after which no event is added
)

// Page returns what follows a position in a feed. Its errors wrap those of
// [eventlog.Log]. With an error, the page's cursor is the position reached so
// far, or zero.
//
// A page that waits keeps the filter's feed until it returns. If no subscription
// has read the feed, it leaves with the last such page.
func (h *Hub) Page(ctx context.Context, req PageRequest) (Page, error) {
	deadline := time.Now().Add(req.Wait)
	var held heldFeed
	defer held.release()
	read := 0
	for {
		page, err := h.page(ctx, &req)
		read += page.Read
		page.Read = read
		if err != nil && page.Cursor.IsZero() {
			page.Cursor = req.Start.After
		}
		if err != nil || page.Reset != nil || len(page.Entries) > 0 || page.More {
			return page, err
		}
		cursor, changed, err := h.await(ctx, &req, &held, page.Cursor, time.Until(deadline))
		page.Cursor = cursor
		if err != nil || !changed {
			return page, err
		}
		req.Start = Start{After: page.Cursor}
	}
}

// page reads one page without waiting.
func (h *Hub) page(ctx context.Context, req *PageRequest) (Page, error) {
	start, err := req.Start.resolve(ctx, h.log, req.Log, func(ctx context.Context, _ bool) (eventlog.Bounds, error) {
		return h.log.Bounds(ctx, req.Log)
	})
	page := Page{Cursor: start.after, Reset: start.reset}
	if err != nil || start.reset != nil {
		return page, err
	}
	var pace pace
	for size := 0; page.Read < scanLimit; {
		limit := pace.limit(batchBytes, batchMost)
		batch, err := h.catchup.read(ctx, req.Log, page.Cursor, &pace, batchMost)
		if err != nil {
			return Page{}, err
		}
		if batch.Gap != nil {
			if len(page.Entries) > 0 {
				return page, nil // the next request meets the gap
			}
			page.Reset, err = resetFor(ctx, h.log, req.Log, page.Cursor, batch.Gap)
			return page, err
		}
		page.Read += len(batch.Entries)
		for i := range batch.Entries {
			e := &batch.Entries[i]
			if req.Filter.Match(e.Event.Predicate()) {
				if len(page.Entries) == req.Limit || size > pageLimit {
					page.More = true
					return page, nil
				}
				page.Entries = append(page.Entries, *e)
				size += e.Event.Size()
			}
			page.Cursor = e.ID
		}
		if len(batch.Entries) < limit {
			return page, nil
		}
	}
	page.More = true
	return page, nil
}

// await waits until something may match after pos, and reports whether it may.
// If not, everything up to the returned position was left out.
func (h *Hub) await(ctx context.Context, req *PageRequest, held *heldFeed, pos eventlog.ID, wait time.Duration) (eventlog.ID, bool, error) {
	if wait <= 0 {
		return pos, false, nil
	}
	t, err := h.tail(ctx, req.Log)
	if err != nil {
		return pos, false, err
	}
	if !held.take(t, req.Filter) {
		return pos, true, nil
	}
	fd := held.feed
	changed := make(chan struct{})
	cancel := fd.watch(pos, func() { close(changed) })
	if cancel == nil {
		return pos, true, nil
	}
	defer cancel()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-changed:
		return pos, true, nil
	case <-timer.C:
		return fd.passed(pos), false, nil
	case <-h.drained:
		return fd.passed(pos), false, nil
	case <-ctx.Done():
		return pos, false, ctx.Err()
	}
}

// State returns a feed's states: for each, the newest event that matches, oldest
// first, and the position to go on after. Its errors wrap those of
// [eventlog.Log].
func (h *Hub) State(ctx context.Context, log string, f *filter.Filter) (eventlog.State, error) {
	for {
		t, err := h.tail(ctx, log)
		if err != nil {
			return eventlog.State{}, err
		}
		switch err := t.states.load(ctx); {
		case errors.Is(err, errDead):
			continue
		case err != nil:
			return eventlog.State{}, err
		}
		t.mu.Lock()
		entries, head := t.states.entries(), t.pos
		t.mu.Unlock()
		s := eventlog.State{Head: head, Until: head}
		for _, e := range entries {
			if f.Match(e.Event.Predicate()) {
				s.Entries = append(s.Entries, *e)
			}
		}
		return s, nil
	}
}

// loadStates returns when sub's tail knows its states, whichever tail that is
// then.
func (h *Hub) loadStates(ctx context.Context, sub *Subscription) error {
	for {
		err := sub.feed.tail.states.load(ctx)
		if !errors.Is(err, errDead) {
			return err
		}
		if err := h.rejoin(ctx, sub); err != nil {
			return err
		}
	}
}
