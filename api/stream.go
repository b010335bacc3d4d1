package api

import (
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/filter"
)

const (
	eventStream = "text/event-stream"
	lineStream  = "application/x-ndjson"
)

// pollWait is well below the 50 s after which clients that poll give up a response.
// Tests shorten it.
var pollWait = 20 * time.Second

// paddingSize is how much of a response some clients buffer before they show any.
const paddingSize = 2 << 10

// streamHeader sets the header that all streams share.
func streamHeader(h http.Header, form string) {
	h.Set("Content-Type", form+"; charset=utf-8")
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no")
	h.Set("Vary", "Authorization, Origin")
}

// stream answers GET /v1/stream.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) error {
	q, err := s.query(r)
	if err != nil {
		return err
	}
	c, err := s.streamCaller(w, r, q)
	if err != nil {
		return err
	}
	allowOrigin(w, r)
	if err := s.checkQuery(r, q); err != nil {
		return err
	}
	accepted := accepts(r, eventStream, lineStream)
	if accepted == "" {
		return problem("not-acceptable", "Accept "+eventStream+" or "+lineStream+".")
	}
	v, err := s.view(c, q)
	if err != nil {
		return err
	}
	after, invalid, err := cursor(r, q)
	if err != nil {
		return err
	}
	if q["names"] == "off" && (v.data || accepted == lineStream) {
		return parameterProblem("names", "goes with server-sent events in the envelope cloudevents alone, where the type is inside")
	}
	if q["poll"] == "1" && q["snapshot"] == "1" {
		return parameterProblem("poll", "does not go with snapshot: GET /v1/state has what is true now")
	}
	if q["snapshot"] == "1" && q["since"] != "" {
		return parameterProblem("snapshot", "does not go with since: a snapshot is of now")
	}
	if r.Method == http.MethodHead {
		if err := s.charge(w, r, c, s.cost(c, policy.Requests, 1)); err != nil {
			return err
		}
		return answerHead(w, accepted)
	}
	o := openRequest{
		caller: c, narrowing: v.narrowing, form: accepted, preface: padding(q),
		takeOver: q["takeover"] == "oldest" && c.grant == nil,
		stream: streams.Request{
			Framing:    framing(accepted, v.data),
			Connection: newConnectionID(),
			Log:        v.log, Filter: v.filter,
			Start:    streams.Start{Invalid: invalid, After: after, Snapshot: q["snapshot"] == "1", Since: v.since},
			Conflate: q["conflate"] != "off",
		},
	}
	if q["names"] == "off" {
		o.stream.Framing = streams.SSEUnnamed
	}
	if q["poll"] == "1" {
		return s.poll(w, r, o)
	}
	return s.open(w, r, o)
}

// answerHead answers HEAD for a stream.
func answerHead(w http.ResponseWriter, form string) error {
	streamHeader(w.Header(), form)
	w.Header().Set("Connection", "close")
	w.WriteHeader(http.StatusOK)
	return nil
}

func newConnectionID() string { return "con_" + rand.Text()[:16] }

// streamCaller returns the caller of a stream, from the header or from a token in
// the query, where EventSource has to put it.
func (s *Server) streamCaller(w http.ResponseWriter, r *http.Request, q query) (*caller, error) {
	token, given := q["access_token"]
	switch {
	case !given:
		return s.authorize(w, r, auth.Stream)
	case len(r.Header["Authorization"]) > 0:
		return nil, problem("ambiguous-credentials", "Send a token in the header Authorization or in the query, not in both.")
	case !isToken(token):
		return nil, problem("credential-in-url", `Replace this key, and send the new one in the header: "Authorization: Bearer <key>". Only a token may be sent in a URL.`)
	}
	c, err := s.recognise(r, token)
	if err != nil {
		return nil, err
	}
	return remember(w, c), c.admit(auth.Stream)
}

func framing(accepted string, data bool) streams.Framing {
	switch {
	case accepted == lineStream && data:
		return streams.LinesData
	case accepted == lineStream:
		return streams.Lines
	case data:
		return streams.SSEData
	}
	return streams.SSE
}

// An openRequest says which stream a caller opens.
type openRequest struct {
	caller    *caller        // nil: the stream needs no key
	narrowing *filter.Clause // of what the caller sees; nil: nothing
	form      string         // the content type
	preface   []byte         // goes out before the stream
	takeOver  bool           // end the key's oldest stream if there is no room for another
	stream    streams.Request
}

// open answers with a stream. It returns an error only if it wrote nothing.
func (s *Server) open(w http.ResponseWriter, r *http.Request, o openRequest) error {
	seen := o.caller // the caller whose view stream has
	c := &connection{
		set: s.connections, key: seen.ID, caller: *seen, narrowing: o.narrowing,
		id: o.stream.Connection, since: time.Now().UnixMilli(), addr: s.clientAddr(r), agent: agentOf(r),
	}
	s.connections.add(c) // before the lease, which another request may end
	if err := s.lease(w, r, c, o.takeOver); err != nil {
		c.left()
		return err
	}
	deliveries := s.limit(seen.Key, policy.Deliveries)
	o.stream.Rate, o.stream.RateWindow, o.stream.ChargeReplay = deliveries.Quota, deliveries.Window, c.replayed
	for {
		// The connection was added before this check, so no change falls between.
		now, err := o.caller.again(r.Context(), s.Keyring)
		if err == nil {
			err = now.admit(auth.Stream)
		}
		if err == nil && now.Revision != seen.Revision {
			o.stream.Log, seen = now.Log(), now
			o.stream.Filter, err = s.narrow(now, o.narrowing)
		}
		var sub *streams.Subscription
		if err == nil {
			sub, err = s.Hub.Subscribe(r.Context(), o.stream)
		}
		if err != nil {
			c.left()
			return err
		}
		if !c.begin(sub, now, o.stream.Filter) {
			sub.Close(streams.ErrGone)
			continue
		}
		s.connections.time(c, !now.ends().IsZero())
		streamHeader(w.Header(), o.form)
		s.poller.Serve(w, r, sub, o.preface, c.left)
		return nil
	}
}

// lease takes a place among the open streams of its key for c.
func (s *Server) lease(w http.ResponseWriter, r *http.Request, c *connection, takeOver bool) error {
	who := &c.caller
	lease := c.lease()
	charges := []ratelimit.Charge{s.cost(who, policy.Streams, 1), s.cost(who, policy.Connects, 1)}
	if lease.Filter != "" {
		charges = append(charges, s.cost(who, policy.Filters, 1))
	}
	v, err := s.take(w, r, who, ratelimit.Ask{Charges: charges, Lease: &lease, TakeOver: takeOver})
	if err != nil {
		return err
	}
	c.holds.Store(true)
	if s.Unlimited {
		s.leases.begin(lease)
	}
	for _, ended := range v.Ended {
		s.announceEnd(r.Context(), ended, endedByTakeover)
	}
	return nil
}

// poll answers a request for a stream with one that ends: with the events after the
// position, or the first that come within pollWait.
func (s *Server) poll(w http.ResponseWriter, r *http.Request, o openRequest) error {
	who := o.caller
	if who != nil {
		if err := s.chargePage(w, r, who, s.cost(who, policy.Connects, 1)); err != nil {
			return err
		}
	}
	req := streams.PageRequest{
		Log: o.stream.Log, Filter: o.stream.Filter, Start: o.stream.Start, Limit: pageMax, Wait: pollWait,
	}
	var page streams.Page
	if who == nil {
		var err error
		if page, err = s.Hub.Page(r.Context(), req); err != nil {
			return err
		}
	} else {
		c, err := s.beginReading(who, auth.Stream, view{filter: req.Filter, narrowing: o.narrowing}, true)
		if err != nil {
			return err
		}
		defer c.endReading()
		if page, err = s.readPage(w, r, c, req); err != nil {
			return err
		}
	}
	streamHeader(w.Header(), o.form)
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(append(o.preface, o.stream.Framing.Answer(page)...)) // an error means that the client left
	return nil
}

// padding returns the comment that a client wants before the stream. No empty
// line follows it: some clients report an empty message at every empty line.
func padding(q query) []byte {
	if q["padding"] != "1" && q["padding"] != "true" {
		return nil
	}
	text := make([]byte, 0, paddingSize+2)
	text = append(text, ':')
	for len(text) <= paddingSize {
		text = append(text, ' ')
	}
	return append(text, '\n')
}

// agentOf returns the User-Agent, short and in printable ASCII.
func agentOf(r *http.Request) string {
	agent := r.Header.Get("User-Agent")
	if len(agent) > agentMax {
		agent = agent[:agentMax]
	}
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, agent)
}
