package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/internal/strictjson"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/filter"
)

// An explanation says whether an event would be delivered to a key, and what each
// clause has to do with it.
type explanation struct {
	KeyID     string          `json:"key_id"`
	Delivered bool            `json:"delivered"`
	RefusedBy string          `json:"refused_by,omitempty"` // the first clause that does
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
	if err := noParameters(r); err != nil {
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
	doc, err := readObject(w, r, bodyMax, shortForm)
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
		if key, err = s.store.FindByID(r.Context(), id); err != nil {
			return keyProblem(err)
		}
	}
	if !key.Kind.Reads() {
		return fieldProblem(&auth.FieldError{Field: "key_id", Reason: "must be the id of a live or test key: other keys receive no events"})
	}
	p, err := s.readExplained(event, key)
	if err != nil {
		return below("/event", err)
	}
	return writeJSON(w, http.StatusOK, explainTo(key, &p))
}

// readExplained reads an event that may leave out whose it is.
func (s *Server) readExplained(raw []byte, key *auth.Key) (publication, error) {
	doc, err := scanObject(raw)
	if err != nil {
		return publication{}, err
	}
	structured, addressed, moded := false, false, false
	for _, m := range doc.Members {
		structured = structured || m.Name == "specversion"
		addressed = addressed || m.Name == "merchant"
		moded = moded || m.Name == "livemode"
	}
	if !addressed {
		merchant, err := json.Marshal(key.Merchant)
		if err != nil {
			return publication{}, err
		}
		head := append([]byte(`{"merchant":`), merchant...)
		if key.Kind == auth.Test && !moded {
			head = append(head, `,"livemode":false`...)
		}
		if len(doc.Members) > 0 {
			head = append(head, ',')
		}
		raw = append(head, doc.Raw[1:]...)
	}
	if structured {
		return decodeStructured(raw)
	}
	return decodeShort(raw)
}

// below puts a place before the pointers of a problem.
func below(place string, err error) error {
	var p *Problem
	if errors.As(err, &p) {
		if places, ok := p.Extra["errors"].([]map[string]any); ok {
			for _, at := range places {
				if pointer, ok := at["pointer"].(string); ok {
					at["pointer"] = place + pointer
				}
			}
		}
	}
	return err
}

// explainTo asks each clause of a key by itself.
func explainTo(key *auth.Key, p *publication) explanation {
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
	add("merchant", p.merchant == key.Merchant, key.Merchant, "the event is another merchant's")
	mode := map[bool]string{false: "live", true: "test"}
	add("mode", p.test == (key.Kind == auth.Test), mode[key.Kind == auth.Test], "the event is on the "+mode[p.test]+" log")
	ask := func(name string, value any, isSet bool, clause filter.Clause, detail string) {
		if !isSet {
			return
		}
		f, err := filter.Compile(clause)
		add(name, err == nil && f.Match(&filter.Event{
			ID: p.event.ID, Source: p.event.Source, Type: p.event.Type, Subject: p.event.Subject,
			Merchant: p.merchant, Time: p.event.Time, Data: p.event.Data,
		}), value, detail)
	}
	ask("types", key.Types, len(key.Types) > 0, filter.Clause{Types: key.Types}, "no pattern fits the event's type")
	ask("subjects", key.Subjects, len(key.Subjects) > 0, filter.Clause{Subjects: key.Subjects}, "no pattern fits the event's subject")
	ask("filter", key.Filter, key.Filter != "", filter.Clause{Filter: key.Filter},
		"the expression is false for this event, or cannot be decided: what it looks at may be missing")
	return e
}
