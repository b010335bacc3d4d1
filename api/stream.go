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
		append([]string{"last_event_id", "lastEventId", "since", "snapshot", "conflate"}, feedParameters...)...)
	if err != nil {
		return err
	}
	key, err := s.authenticate(r, auth.Stream)
	if err != nil {
		return err
	}
	if err := s.contract.check("GET /v1/stream", r, q); err != nil {
		return err
	}
	accepted := accepts(r, eventStream, lineStream)
	if accepted == "" {
		return problem("not-acceptable", "Accept "+eventStream+" or "+lineStream+".")
	}
	f, err := s.feed(key, q)
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
	return s.open(w, r, streams.Request{
		Log: f.log, Filter: f.filter, Framing: framing(accepted, f.data),
		Connection: "con_" + rand.Text()[:16],
		After:      after, Foreign: foreign, Since: f.since,
		Snapshot: q["snapshot"] == "1", Conflate: q["conflate"] != "off",
	})
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
