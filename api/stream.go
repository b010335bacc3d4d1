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
)

const (
	eventStream = "text/event-stream"
	lineStream  = "application/x-ndjson"
)

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
	f, err := s.feed(c, q)
	if err != nil {
		return err
	}
	after, invalid, err := cursor(r, q)
	if err != nil {
		return err
	}
	if q["names"] == "off" && (f.data || accepted == lineStream) {
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
		streamHeader(w.Header(), accepted)
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusOK)
		return nil
	}
	req := streams.Request{
		Framing:    framing(accepted, f.data),
		Connection: "con_" + rand.Text()[:16],
		Log:        f.log, Filter: f.filter,
		Start:    streams.Start{Invalid: invalid, After: after, Snapshot: q["snapshot"] == "1", Since: f.since},
		Conflate: q["conflate"] != "off",
	}
	if q["names"] == "off" {
		req.Framing = streams.SSEUnnamed
	}
	if q["poll"] == "1" {
		return s.poll(w, r, c, q, accepted, req)
	}
	return s.open(w, r, c, q, accepted, padding(q), req)
}

// streamCaller returns who asks for a stream: by the header, or by a token in the
// query, where EventSource has to put it.
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

// open answers with a stream for the caller, of what they ask for, and a preface
// before it. An error is returned before anything was written.
func (s *Server) open(w http.ResponseWriter, r *http.Request, who *caller, q query, form string, preface []byte, req streams.Request) error {
	c := &connection{
		among: s.connections, key: who.ID, caller: *who, asked: s.filters.share(askedOf(q)),
		id: req.Connection, since: time.Now().UnixMilli(), addr: s.clientAddr(r), agent: agentOf(r),
	}
	s.connections.add(c) // before it has a lease, which somebody may end
	if err := s.lease(w, r, who, c, q["takeover"] == "oldest" && who.grant == nil); err != nil {
		c.left()
		return err
	}
	req.Rate, req.ChargeReplay = s.limit(who.Key, policy.Deliveries).Quota, c.replayed
	for {
		// Known since it was announced: no change falls between.
		now, err := who.again(r.Context(), s.Keyring)
		if err == nil {
			err = now.admit(auth.Stream)
		}
		var f feed
		if err == nil {
			f, err = s.feed(now, q)
		}
		var sub *streams.Subscription
		if err == nil {
			req.Log, req.Filter = f.log, f.filter
			sub, err = s.Hub.Subscribe(r.Context(), req)
		}
		if err != nil {
			c.left()
			return err
		}
		if !c.begin(sub, now, f.filter) {
			sub.Close(streams.ErrGone)
			continue
		}
		s.connections.time(c, !now.ends().IsZero())
		streamHeader(w.Header(), form)
		s.poller.Serve(w, r, sub, preface, c.left)
		return nil
	}
}

// lease takes a place among the open streams of the caller's key for c.
func (s *Server) lease(w http.ResponseWriter, r *http.Request, who *caller, c *connection, takeOver bool) error {
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

// agentOf returns what the client calls itself, as it may be shown.
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
