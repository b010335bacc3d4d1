package streams

import (
	"context"
	"time"

	"github.com/paylogic/pushserver/streams/filter"
)

// A PageRequest asks for a part of a feed.
type PageRequest struct {
	Log    string
	Filter *filter.Filter
	After  ID            // the position to go on after; it wins over Since
	Since  time.Time     // the log time to start from; zero: the oldest retained event
	Limit  int           // events at most
	Wait   time.Duration // how long to wait for a first event if there is none
}

// A Page is a part of a feed.
type Page struct {
	Entries []Entry
	Cursor  ID     // the position to go on after; it also passes what the filter left out
	More    bool   // there was more at that moment
	Reset   *Reset // set if completeness cannot be proved; then there are no entries
}

// scanLimit bounds how many entries a page looks at before it answers with
// what it has, so that a filter that seldom matches holds nobody up.
const scanLimit = 20_000

// Page returns what follows a position in a feed. Its errors wrap those of
// [Log].
func (h *Hub) Page(ctx context.Context, req PageRequest) (Page, error) {
	deadline := time.Now().Add(req.Wait)
	for {
		page, err := h.page(ctx, &req)
		if err != nil || page.Reset != nil || len(page.Entries) > 0 || page.More {
			return page, err
		}
		moved, err := h.moved(ctx, req.Log, page.Cursor, time.Until(deadline))
		if err != nil || !moved {
			return page, err
		}
		req.After = page.Cursor
	}
}

// page reads one page without waiting.
func (h *Hub) page(ctx context.Context, req *PageRequest) (Page, error) {
	after, reset, err := h.start(ctx, req)
	page := Page{Cursor: after, Reset: reset}
	if err != nil || reset != nil {
		return page, err
	}
	for scanned := 0; scanned < scanLimit; {
		batch, err := h.read(ctx, req.Log, page.Cursor)
		if err != nil {
			return Page{}, err
		}
		if batch.Gap != nil {
			if len(page.Entries) > 0 {
				return page, nil // the next request meets the gap
			}
			page.Reset, err = h.reset(ctx, req.Log, page.Cursor, batch.Gap)
			return page, err
		}
		for i := range batch.Entries {
			e := &batch.Entries[i]
			if req.Filter.Match(e.Event.predicate()) {
				if len(page.Entries) == req.Limit {
					page.More = true
					return page, nil
				}
				page.Entries = append(page.Entries, *e)
			}
			page.Cursor = e.ID
		}
		if len(batch.Entries) < batchLimit {
			return page, nil
		}
		scanned += len(batch.Entries)
	}
	page.More = true
	return page, nil
}

// start returns the position that the request means.
func (h *Hub) start(ctx context.Context, req *PageRequest) (ID, *Reset, error) {
	switch {
	case !req.After.IsZero():
		return req.After, nil, nil
	case req.Since.IsZero():
		bounds, err := h.log.Bounds(ctx, req.Log)
		return bounds.Floor(), nil, err
	}
	return h.seek(ctx, req.Log, req.Since)
}

// seek returns the position before the first event of a time, and a reset if
// events of that time are gone.
func (h *Hub) seek(ctx context.Context, log string, since time.Time) (ID, *Reset, error) {
	after, first, err := h.log.Seek(ctx, log, since)
	if err != nil || after.IsOrigin() || after.Time().Before(since) {
		return after, nil, err
	}
	// What came before the first one is of that time too.
	reset := &Reset{Reason: Trimmed, Requested: since.UTC().Format(time.RFC3339), ResumeFrom: first, Oldest: first, After: after}
	if first.IsZero() {
		reset.ResumeFrom = after
	}
	return after, reset, nil
}

// moved waits until the log has gone on from pos, and reports whether it has.
func (h *Hub) moved(ctx context.Context, log string, pos ID, wait time.Duration) (bool, error) {
	if wait <= 0 {
		return false, nil
	}
	st, err := h.stream(ctx, log)
	if err != nil {
		return false, err
	}
	if head := st.head(); head.Compare(pos) < 0 {
		st.ring() // the tail is behind what was just read
		pos = head
	}
	moved := make(chan struct{})
	defer st.await(pos, func() { close(moved) })()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-moved:
		return true, nil
	case <-timer.C:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	case <-h.ctx.Done():
		return false, ErrDraining
	}
}
