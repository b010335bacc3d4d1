package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

const (
	pageDefault = 100
	pageMax     = 1000
	waitMax     = 30 // seconds
)

// history answers GET /v1/events.
func (s *Server) history(w http.ResponseWriter, r *http.Request) error {
	q, err := s.query(r)
	if err != nil {
		return err
	}
	key, err := s.authorize(w, r, auth.History)
	if err != nil {
		return err
	}
	if err := s.chargePage(w, r, key, s.cost(key, policy.Requests, 1)); err != nil {
		return err
	}
	allowOrigin(w, r)
	if err := s.checkQuery(r, q); err != nil {
		return err
	}
	f, err := s.view(key, q)
	if err != nil {
		return err
	}
	req := streams.PageRequest{Log: f.log, Filter: f.filter, Start: streams.Start{Since: f.since, Oldest: true}}
	if q["after"] != "" {
		if req.Start.After, err = position(q["after"]); err != nil {
			return err
		}
	}
	if req.Limit, err = number(q, "limit", 1, pageMax, pageDefault); err != nil {
		return err
	}
	wait, err := number(q, "wait", 0, waitMax, 0)
	if err != nil {
		return err
	}
	req.Wait = time.Duration(wait) * time.Second

	page, err := s.readPage(r, key, auth.History, f.narrowing, req)
	if err != nil {
		return err
	}
	if page.Reset != nil {
		return gone(page.Reset)
	}
	writePage(w, page, f.data)
	return nil
}

// A reading is what a connection has that is a page. Until it is answered it is a
// reader like a stream: a change of its key reaches it.
type reading struct {
	scope     string // that its caller must have
	waits     bool   // its filter counts among those of its key
	interrupt func() // makes it look at its caller again; the connection's mutex guards it
}

// readPage returns a page for a caller who has the scope until it returns, filtered
// by what the caller may see then. It charges for what it read.
func (s *Server) readPage(r *http.Request, who *caller, scope string, narrowing *filter.Clause, req streams.PageRequest) (page streams.Page, err error) {
	c := &connection{
		set: s.connections, key: who.ID, caller: *who, filter: req.Filter, narrowing: narrowing,
		page: &reading{scope: scope, waits: req.Wait > 0, interrupt: func() {}},
	}
	if limit := s.limit(who.Key, policy.Filters); !c.page.waits {
		s.connections.add(c)
	} else if !s.connections.admit(c, limit.Quota) {
		return page, s.quotaProblem(ratelimit.Verdict{Decisions: []ratelimit.Decision{{Policy: limit, Retry: time.Second}}}, who)
	}
	defer c.left()
	s.connections.time(c, !who.ends().IsZero())

	read, deadline := 0, time.Now().Add(req.Wait)
	defer func() { s.chargeReplay(r, who, read) }()
	for {
		var interrupted bool
		page, interrupted, err = s.readOnce(r.Context(), c, req)
		read += page.Read
		switch {
		case interrupted:
			if !page.Cursor.IsZero() {
				req.Start = streams.Start{After: page.Cursor}
			}
			req.Wait = max(0, time.Until(deadline))
			continue
		case err != nil:
			return streams.Page{}, err
		}
		f, err := s.look(r.Context(), c)
		if err != nil {
			return streams.Page{}, err
		}
		page.Entries = slices.DeleteFunc(page.Entries, func(e eventlog.Entry) bool { return !f.Match(e.Event.Predicate()) })
		return page, nil
	}
}

// readOnce reads a page for a connection, as its caller is now. It reports whether
// it stopped because the caller may have changed.
func (s *Server) readOnce(r context.Context, c *connection, req streams.PageRequest) (page streams.Page, interrupted bool, err error) {
	ctx, cancel := context.WithCancel(r)
	defer cancel()
	c.mu.Lock()
	c.page.interrupt = cancel // before the look, so that no change falls between
	c.mu.Unlock()
	if req.Filter, err = s.look(ctx, c); err == nil {
		page, err = s.Hub.Page(ctx, req)
	}
	return page, err != nil && ctx.Err() != nil && r.Err() == nil, err
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

// writePage writes a page without encoding/json, which would rewrite the bytes of
// the publisher's data. Events look as in the stream's lines.
func writePage(w http.ResponseWriter, page streams.Page, data bool) {
	b := appendItems([]byte(`{"events":[`), page.Entries, data)
	b = append(b, `],"cursor":"`...)
	b = page.Cursor.Append(b)
	b = append(b, `","more":`...)
	b = strconv.AppendBool(b, page.More)
	b = append(b, "}\n"...)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(b) // an error means that the client left
}

// appendItems writes entries as in the stream's lines.
func appendItems(b []byte, entries []eventlog.Entry, data bool) []byte {
	for i := range entries {
		e := &entries[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"id":"`...)
		b = e.ID.Append(b)
		b = append(b, `","event":`...)
		b = strconv.AppendQuote(b, e.Event.Type) // a type is plain ASCII
		b = append(b, `,"data":`...)
		switch {
		case !data:
			b = streams.AppendCloudEvent(b, &e.Event)
		case e.Event.Data == nil:
			b = append(b, "null"...)
		default:
			b = append(b, e.Event.Data...)
		}
		b = append(b, '}')
	}
	return b
}

func gone(reset *streams.Reset) *Problem {
	p := problem("history-gone", "Events after this position may be missing. Discard any state you built from earlier events, then continue with after set to cursor.").
		with("reason", reset.Reason).with("requested", reset.Requested).
		with("resume_from", reset.ResumeFrom).with("cursor", reset.After)
	if !reset.Oldest.IsZero() {
		p.with("oldest", reset.Oldest)
	}
	return p
}

func number(q query, name string, least, most, otherwise int) (int, error) {
	text, given := q[name]
	if !given {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, parameterProblem(name, "must be a whole number from "+strconv.Itoa(least)+" to "+strconv.Itoa(most))
	}
	return n, nil
}
