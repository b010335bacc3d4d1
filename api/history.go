package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/eventlog"
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

	c, err := s.beginReading(key, auth.History, f, req.Wait > 0)
	if err != nil {
		return err
	}
	defer c.endReading()
	page, err := s.readPage(w, r, c, req)
	if err != nil {
		return err
	}
	if page.Reset != nil {
		return gone(page.Reset)
	}
	writePage(w, page, f.data)
	return nil
}

// readPage returns a page for a reader, filtered by what its caller may see then. It
// charges for what it read.
func (s *Server) readPage(w http.ResponseWriter, r *http.Request, c *connection, req streams.PageRequest) (page streams.Page, err error) {
	who := c.caller
	read, deadline := 0, time.Now().Add(req.Wait)
	defer func() { s.chargeReplay(r, &who, read) }()
	for {
		var interrupted bool
		page, interrupted, err = s.readOnce(r.Context(), c, req)
		read += page.Read
		if !interrupted {
			break
		}
		if !page.Cursor.IsZero() {
			req.Start = streams.Start{After: page.Cursor}
		}
		req.Wait = max(0, time.Until(deadline))
	}
	if err != nil {
		return streams.Page{}, err
	}
	f, err := s.lastLook(w, r, c)
	if err != nil {
		return streams.Page{}, err
	}
	page.Entries = slices.DeleteFunc(page.Entries, func(e eventlog.Entry) bool { return !f.Match(e.Event.Predicate()) })
	return page, nil
}

// readOnce reads a page for a connection, as its caller is now. It reports whether
// it stopped because the caller may have changed.
func (s *Server) readOnce(r context.Context, c *connection, req streams.PageRequest) (page streams.Page, interrupted bool, err error) {
	ctx, cancel := context.WithCancel(r)
	defer cancel()
	c.onInterrupt(cancel) // before the look, so that no change falls between
	if req.Filter, err = s.look(ctx, c); err == nil {
		page, err = s.Hub.Page(ctx, req)
	}
	return page, err != nil && ctx.Err() != nil && r.Err() == nil, err
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
