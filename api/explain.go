package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/paylogic/pushserver/api/cloudevents"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/internal/strictjson"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

// An explanation says whether an event would be delivered to a key, and which clauses
// of the key it passes.
type explanation struct {
	KeyID     string          `json:"key_id"`
	Delivered bool            `json:"delivered"`
	RefusedBy string          `json:"refused_by,omitempty"` // the first clause that the event fails
	Clauses   []explainClause `json:"clauses"`
}

type explainClause struct {
	Clause string `json:"clause"`
	Passes bool   `json:"passes"`
	Value  any    `json:"value,omitempty"` // of the clause
	Detail string `json:"detail,omitempty"`
}

// explain answers POST /v1/explain.
func (s *Server) explain(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.query(r); err != nil {
		return err
	}
	c, err := s.identify(w, r)
	switch {
	case err != nil:
		return err
	case !c.May(auth.Admin) && !(c.Kind.Reads() && c.grant == nil):
		return problem("wrong-role", "Use an admin's key, or ask about a merchant's key with that key itself.").with("role", role(c.Kind))
	}
	if err := s.charge(w, r, c, s.cost(c, policy.Requests, 1)); err != nil {
		return err
	}
	doc, err := readObject(w, r, bodyMax, cloudevents.ShortType)
	if err != nil {
		return err
	}
	id, event := c.ID, []byte(nil)
	for _, m := range doc.Members {
		switch m.Name {
		case "key_id":
			var ok bool
			if id, ok = strictjson.Text(m.Value); !ok {
				return fieldProblem(&auth.FieldError{Field: m.Name, Reason: "must be the id of a key"})
			}
		case "event":
			event = m.Value
		default:
			return fieldProblem(&auth.FieldError{Field: m.Name, Reason: "is unknown"})
		}
	}
	if event == nil {
		return fieldProblem(&auth.FieldError{Field: "event", Reason: "is required: the event as it would be published"})
	}
	key := c.Key
	if id != c.ID {
		if !c.May(auth.Admin) {
			return problem("wrong-role", "Use an admin's key to ask about other keys. A merchant's key can only ask about itself.").with("role", role(c.Kind))
		}
		if key, err = s.Store.FindByID(r.Context(), id); err != nil {
			return keyProblem(err)
		}
	}
	if !key.Kind.Reads() {
		return fieldProblem(&auth.FieldError{Field: "key_id", Reason: "must be the id of a live or test key: other keys receive no events"})
	}
	log, e, err := cloudevents.DecodeFor(key.Merchant, key.Kind == auth.Test, event)
	var invalid *cloudevents.Invalid
	if errors.As(err, &invalid) {
		invalid.Below("/event")
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, explainTo(key, log, &e))
}

// explainTo evaluates each clause of a key by itself.
func explainTo(key *auth.Key, log string, event *eventlog.Event) explanation {
	e := explanation{KeyID: key.ID, Delivered: true}
	add := func(name string, passes bool, value any, detail string) {
		if passes {
			detail = ""
		} else if e.Delivered {
			e.Delivered, e.RefusedBy = false, name
		}
		e.Clauses = append(e.Clauses, explainClause{name, passes, value, detail})
	}
	err := key.Usable(time.Now())
	add("key", err == nil, nil, "the key was revoked, or has expired")
	add("scopes", key.May(auth.Stream), key.Granted(), "the key may not stream")
	add("merchant", event.Merchant == key.Merchant, key.Merchant, "the event is another merchant's")
	test := log != event.Merchant
	mode := map[bool]string{false: "live", true: "test"}
	add("mode", test == (key.Kind == auth.Test), mode[key.Kind == auth.Test], "the event is on the "+mode[test]+" log")
	ask := func(name string, value any, isSet bool, clause filter.Clause, detail string) {
		if !isSet {
			return
		}
		f, err := filter.Compile(clause)
		add(name, err == nil && f.Match(event.Predicate()), value, detail)
	}
	ask("types", key.Types, len(key.Types) > 0, filter.Clause{Types: key.Types}, "no pattern fits the event's type")
	ask("subjects", key.Subjects, len(key.Subjects) > 0, filter.Clause{Subjects: key.Subjects}, "no pattern fits the event's subject")
	ask("filter", key.Filter, key.Filter != "", filter.Clause{Filter: key.Filter},
		"the expression is false for this event, or cannot be decided: what it looks at may be missing")
	return e
}
