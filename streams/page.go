package streams

import (
	"context"
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
	Wait   time.Duration // how long to wait for a first event if there is none
}

// A Page is a part of a feed.
type Page struct {
	Entries []eventlog.Entry
	Cursor  eventlog.ID // the position to go on after; it also passes what the filter left out
	More    bool        // there was more at that moment
	Reset   *Reset      // set if completeness cannot be proved; then there are no entries
	Read    int         // how many entries of the log were looked at
}

// How much a page looks at, and how much it has, before it answers with what it
// has: a filter that seldom matches holds nobody up, and large events do not
// fill the memory.
const (
	scanLimit = 20_000    // entries
	pageLimit = 256 << 10 // bytes, after which no further event is added
)

// Page returns what follows a position in a feed. Its errors wrap those of
// [Log].
func (h *Hub) Page(ctx context.Context, req PageRequest) (Page, error) {
	deadline := time.Now().Add(req.Wait)
	read := 0
	for {
		page, err := h.page(ctx, &req)
		read += page.Read
		page.Read = read
		if err != nil || page.Reset != nil || len(page.Entries) > 0 || page.More {
			return page, err
		}
		cursor, changed, err := h.await(ctx, req.Log, req.Filter, page.Cursor, time.Until(deadline))
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
	for scanned, size := 0, 0; scanned < scanLimit; {
		limit := pace.limit(batchBytes, batchMost)
		batch, err := h.read(ctx, req.Log, page.Cursor, &pace, batchMost)
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
		scanned += len(batch.Entries)
	}
	page.More = true
	return page, nil
}

// await waits until something that the filter lets through follows pos, and
// reports whether it may have: otherwise all up to the returned position was
// left out.
func (h *Hub) await(ctx context.Context, log string, f *filter.Filter, pos eventlog.ID, wait time.Duration) (eventlog.ID, bool, error) {
	if wait <= 0 {
		return pos, false, nil
	}
	st, err := h.tail(ctx, log)
	if err != nil {
		return pos, false, err
	}
	changed := make(chan struct{})
	fd, cancel := st.watch(f, pos, func() { close(changed) })
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

// watch has call called once when the stream's feed for the filter has something
// after pos, or the stream has ended, and not after cancel. If pos is further on
// than the tail, what the tail meets up to it counts too. Cancel is nil, and
// call is not called, if that is so already.
func (st *tail) watch(f *filter.Filter, pos eventlog.ID, call func()) (fd *feed, cancel func()) {
	w := &waiter{call}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.dead {
		return nil, nil
	}
	fd = st.feed(f)
	if pos.Compare(st.pos) <= 0 {
		seq, known := st.find(pos)
		var buf [1]*item
		if items, ok := fd.after(seq, buf[:0], false); !known || !ok || len(items) > 0 {
			return fd, nil
		}
	}
	fd.waiting[w] = true
	return fd, func() {
		st.mu.Lock()
		defer st.mu.Unlock()
		delete(fd.waiting, w)
	}
}

// passed returns the position up to which nothing after pos matched.
func (f *feed) passed(pos eventlog.ID) eventlog.ID {
	st := f.tail
	st.mu.Lock()
	defer st.mu.Unlock()
	seq, known := st.find(pos)
	var buf [1]*item
	if items, ok := f.after(seq, buf[:0], false); st.dead || !known || !ok || len(items) > 0 {
		return pos
	}
	return st.pos
}
