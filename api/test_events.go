package api

import (
	"net/http"

	"github.com/paylogic/pushserver/api/cloudevents"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/internal/strictjson"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/eventlog"
)

// sendTestEvent answers POST /v1/test/events. It publishes an event on the test log
// of the caller's merchant.
func (s *Server) sendTestEvent(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.query(r); err != nil {
		return err
	}
	c, err := s.authorize(w, r, auth.Stream)
	switch {
	case err != nil:
		return err
	case c.Kind != auth.Test:
		return problem("wrong-mode", "Use a test key, ps_test_…. Test events never reach a live log.")
	case c.grant != nil:
		return problem("wrong-role", "Use a merchant's key: a token can only read.").with("role", "browser")
	}
	doc, err := readObject(w, r, bodyMax, cloudevents.ShortType)
	if err != nil {
		return err
	}
	log, e, err := s.readTestEvent(doc, c)
	if err != nil {
		return err
	}
	if err := s.complete(r.Context(), c.Key, &e); err != nil {
		return err
	}
	if err := s.charge(w, r, c, s.cost(c, policy.Publishes, 1), s.cost(c, policy.Requests, 1)); err != nil {
		return err
	}
	receipt, err := s.append(r.Context(), log, e)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, s.accepted(&e, receipt))
}

// readTestEvent reads an event to send. The first example of its type replaces
// what the body leaves out.
func (s *Server) readTestEvent(doc *strictjson.Document, c *caller) (log string, e eventlog.Event, err error) {
	log, e, err = cloudevents.DecodeTest(c.Merchant, doc, func(typ string) (subject string, data []byte) {
		if t := s.Catalog.Type(typ); t != nil {
			return t.Examples[0].Subject, t.Examples[0].Data
		}
		return "", nil
	})
	if err != nil {
		return "", e, err
	}
	if !mayKnow(c, e.Type) {
		return "", e, problem("scope-missing", "This key does not see events of this type: granted lists the types that it does.").
			with("missing", []string{e.Type}).with("granted", c.Types)
	}
	e.Source = "/test"
	return log, e, nil
}
