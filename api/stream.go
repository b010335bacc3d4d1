package api

import (
	"crypto/rand"
	"net/http"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams"
)

const (
	eventStream = "text/event-stream"
	lineStream  = "application/x-ndjson"
)

// stream answers GET /v1/stream.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) error {
	q, err := parseQuery(r.URL.RawQuery, r.Header.Get("Authorization") != "",
		append([]string{"last_event_id", "lastEventId", "since", "snapshot", "conflate", "errors", "access_token"}, feedParameters...)...)
	if err != nil {
		return err
	}
	c, err := s.streamCaller(r, q)
	if err != nil {
		return err
	}
	allowOrigin(w, r)
	if err := s.contract.check("GET /v1/stream", r, q); err != nil {
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
	after, foreign, err := cursor(r, q)
	if err != nil {
		return err
	}
	if q["snapshot"] == "1" && q["since"] != "" {
		return parameterProblem("snapshot", "does not go with since: a snapshot is of now")
	}
	streamHeader(w.Header(), accepted)
	if r.Method == http.MethodHead {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusOK)
		return nil
	}
	return s.open(w, r, c, q, streams.Request{
		Framing:    framing(accepted, f.data),
		Connection: "con_" + rand.Text()[:16],
		After:      after, Foreign: foreign, Since: f.since,
		Snapshot: q["snapshot"] == "1", Conflate: q["conflate"] != "off",
	})
}

// streamCaller returns who asks for a stream: by the header, or by a token in the
// query, where EventSource has to put it.
func (s *Server) streamCaller(r *http.Request, q query) (*caller, error) {
	token, given := q["access_token"]
	switch {
	case !given:
		return s.authenticate(r, auth.Stream)
	case len(r.Header["Authorization"]) > 0:
		return nil, problem("ambiguous-credentials", "Send a token in the header Authorization or in the query, not in both.")
	case !isToken(token):
		return nil, problem("credential-in-url", `Replace this key, and send the new one in the header: "Authorization: Bearer <key>". Only tokens may stand in a URL.`)
	}
	c, err := s.recognise(r, token)
	if err != nil {
		return nil, err
	}
	return c, c.admit(auth.Stream)
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
