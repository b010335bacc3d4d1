package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/paylogic/pushserver/streams/filter"
)

// A view is the part of a log that a request asks for, within what its caller may
// see.
type view struct {
	log       string
	filter    *filter.Filter
	narrowing *filter.Clause // what the request narrowed; nil: nothing
	data      bool           // only the event's data is wanted
	since     time.Time
}

// view reads a request's view from its query.
func (s *Server) view(c *caller, q query) (view, error) {
	asked := filter.Clause{Types: parseList(q["types"]), Filter: q["filter"]}
	if q["subject"] != "" {
		asked.Subjects = []string{q["subject"]}
	}
	v := view{log: c.Log(), narrowing: s.filters.share(asked)}
	var err error
	if v.filter, err = s.narrow(c, v.narrowing); err != nil {
		return view{}, err
	}
	switch q["envelope"] {
	case "", "cloudevents":
	case "data":
		v.data = true
	default:
		return view{}, parameterProblem("envelope", "must be cloudevents or data")
	}
	if since := q["since"]; since != "" {
		if v.since, err = parseSince(since, time.Now()); err != nil {
			return view{}, err
		}
	}
	return v, nil
}

// narrow returns what the caller sees within narrowing. It is a problem if they
// have no type in common, because nothing would ever be delivered.
func (s *Server) narrow(c *caller, narrowing *filter.Clause) (*filter.Filter, error) {
	if narrowing == nil {
		return s.filterFor(c, nil)
	}
	for _, clause := range c.clauses() {
		if len(narrowing.Types) == 0 || filter.Overlap(narrowing.Types, clause.Types) {
			continue
		}
		if _, err := filter.Compile(*narrowing); err != nil {
			return nil, err
		}
		return nil, problem("scope-missing", "Ask for types that this key may see. granted lists them.").
			with("missing", narrowing.Types).with("granted", clause.Types)
	}
	return s.filterFor(c, narrowing)
}

// filterFor returns the filter of what the caller sees within narrowing, which may
// be nil. Its errors of package filter are about narrowing alone.
func (s *Server) filterFor(c *caller, narrowing *filter.Clause) (*filter.Filter, error) {
	granted := c.clauses()
	all := granted
	if narrowing != nil {
		all = append(all, *narrowing)
	}
	f, err := s.filters.compile(all...)
	if err == nil {
		return f, nil
	}
	if _, fault := filter.Compile(granted...); fault != nil {
		// The client cannot fix a broken key, so this must not become a problem
		// about the request.
		return nil, fmt.Errorf("compile what %s may see: %v", c.ID, fault)
	}
	return nil, err
}

// filterCache keeps compiled filters, so that a reconnecting client costs no
// compilation. When it is full it is emptied.
type filterCache struct {
	mu      sync.Mutex // guards the following
	filters map[string]*filter.Filter
	clauses map[string]*filter.Clause
}

const filterCacheMax = 4096

func (c *filterCache) compile(clauses ...filter.Clause) (*filter.Filter, error) {
	key := clauseKey(clauses)
	c.mu.Lock()
	f := c.filters[key]
	c.mu.Unlock()
	if f != nil {
		return f, nil
	}
	f, err := filter.Compile(clauses...)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.filters == nil || len(c.filters) >= filterCacheMax {
		c.filters = make(map[string]*filter.Filter)
	}
	c.filters[key] = f
	return f, nil
}

// share returns one copy of clause for all connections with equal clauses, or nil
// if clause narrows nothing.
func (c *filterCache) share(clause filter.Clause) *filter.Clause {
	if len(clause.Types) == 0 && len(clause.Subjects) == 0 && clause.Filter == "" {
		return nil
	}
	key := clauseKey([]filter.Clause{clause})
	c.mu.Lock()
	defer c.mu.Unlock()
	if shared := c.clauses[key]; shared != nil {
		return shared
	}
	if c.clauses == nil || len(c.clauses) >= filterCacheMax {
		c.clauses = make(map[string]*filter.Clause)
	}
	c.clauses[key] = &clause
	return &clause
}

// clauseKey writes clauses with the length of each part, so that different clauses
// have different keys.
func clauseKey(clauses []filter.Clause) string {
	var b []byte
	for _, clause := range clauses {
		for _, list := range [][]string{clause.Types, clause.Subjects, {clause.Filter}} {
			b = append(strconv.AppendInt(b, int64(len(list)), 10), ':')
			for _, part := range list {
				b = append(strconv.AppendInt(b, int64(len(part)), 10), '"')
				b = append(b, part...)
			}
		}
	}
	return string(b)
}

// accepts returns the offer that the client prefers, or "" (RFC 9110, 12.5.1). Among
// equals the first offer wins.
func accepts(r *http.Request, offers ...string) string {
	fields := r.Header.Values("Accept")
	if len(fields) == 0 {
		return offers[0]
	}
	best, bestQuality := "", 0.0
	for _, offer := range offers {
		if q := quality(strings.Join(fields, ","), offer); q > bestQuality {
			best, bestQuality = offer, q
		}
	}
	return best
}

// quality returns the weight of offer in accept: that of the most specific range
// that matches.
func quality(accept, offer string) float64 {
	major, _, _ := strings.Cut(offer, "/")
	exactness, weight := 0, 0.0
	for part := range strings.SplitSeq(accept, ",") {
		params := strings.Split(part, ";")
		name := strings.ToLower(strings.TrimSpace(params[0]))
		exact := 1 + slices.Index([]string{"*/*", major + "/*", offer}, name)
		if exact <= exactness {
			continue
		}
		exactness, weight = exact, 1
		for _, param := range params[1:] {
			if q, ok := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(param), " ", ""), "q="); ok {
				weight, _ = strconv.ParseFloat(q, 64)
			}
		}
	}
	return weight
}

// cursor returns the position from which a stream's request resumes, or an invalid
// text that was sent as one. The header wins over the query, because a page that
// reconnects sends its first URL again.
func cursor(r *http.Request, q query) (after eventlog.ID, invalid string, err error) {
	if q["last_event_id"] != "" && q["lastEventId"] != "" {
		return after, "", problem("ambiguous-cursor", "Send last_event_id or lastEventId, not both.")
	}
	if given := cmp.Or(q["last_event_id"], q["lastEventId"]); given != "" {
		if after, err = position(given); err != nil {
			return after, "", err
		}
	}
	given := r.Header.Values("Last-Event-ID")
	switch {
	case len(given) > 1:
		return after, "", problem("ambiguous-cursor", "Send exactly one Last-Event-ID header.")
	case len(given) == 1 && given[0] != "":
		if after, err = eventlog.ParseID(given[0]); err != nil {
			return eventlog.ID{}, given[0], nil
		}
	}
	return after, "", nil
}

func position(text string) (eventlog.ID, error) {
	id, err := eventlog.ParseID(text)
	if err != nil {
		return id, malformedPosition()
	}
	return id, nil
}

func malformedPosition() *Problem {
	return problem("cursor-malformed", "Send the id of an event as you received it, or leave the parameter out.")
}
