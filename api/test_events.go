package api

import (
	"encoding/json"
	"net/http"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/internal/strictjson"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/eventlog"
)

// sendTestEvent answers POST /v1/test/events: an event on the test log of the
// caller's merchant, as the catalogue shows it or as it was sent.
func (s *Server) sendTestEvent(w http.ResponseWriter, r *http.Request) error {
	if err := noParameters(r); err != nil {
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
	doc, err := readObject(w, r, bodyMax, shortForm)
	if err != nil {
		return err
	}
	p, err := s.readTestEvent(doc, c)
	if err != nil {
		return err
	}
	if err := s.complete(r.Context(), c.Key, &p); err != nil {
		return err
	}
	if err := s.charge(w, r, c, s.cost(c, policy.Publishes, 1), s.cost(c, policy.Requests, 1)); err != nil {
		return err
	}
	receipts, err := s.log.Append(r.Context(), p.log(), []eventlog.Event{p.event})
	if err == nil {
		err = receipts[0].Err
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, accepted{
		ID: p.event.ID, Position: receipts[0].ID, Merchant: p.merchant, Durability: s.log.Durability(),
	})
}

// readTestEvent reads what is to be sent. What is left out is that of the first
// example of the type.
func (s *Server) readTestEvent(doc *strictjson.Document, c *caller) (publication, error) {
	d := draft{place: "pointer", seen: make(map[string]bool)}
	for _, m := range doc.Members {
		switch m.Name {
		case "type", "subject":
			d.setText(m)
		case "data":
			d.setData(m.Value)
		default:
			d.refuse(m.Name, "is unknown")
		}
	}
	if t := s.catalog.Type(d.pub.event.Type); t != nil {
		example := t.Examples[0]
		if !d.seen["data"] {
			d.setData(example.Data)
		}
		if !d.seen["subject"] && example.Subject != "" {
			text, err := json.Marshal(example.Subject)
			if err != nil {
				return publication{}, err
			}
			d.setText(strictjson.Member{Name: "subject", Value: text})
		}
	}
	d.pub.merchant, d.pub.test = c.Merchant, true
	p, err := d.finish("type", "data")
	if err != nil {
		return p, err
	}
	if !mayKnow(c, p.event.Type) {
		return p, problem("scope-missing", "This key does not see events of this type. granted lists the types it sees.").
			with("missing", []string{p.event.Type}).with("granted", c.Types)
	}
	p.event.Merchant, p.event.Source = c.Merchant, "/test"
	return p, nil
}

// marked returns the extensions of an event of a test log, which say so.
func marked(extensions []byte) []byte {
	const mark = `"livemode":false}`
	if len(extensions) == 0 {
		return []byte("{" + mark)
	}
	return append(append(extensions[:len(extensions)-1:len(extensions)-1], ','), mark...)
}
