package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/paylogic/pushserver/api/catalog"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

// typeEntry is a type of the catalogue as clients see it.
type typeEntry struct {
	Type        string          `json:"type"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	State       bool            `json:"state"`
	Deprecated  bool            `json:"deprecated"`
	Schema      json.RawMessage `json:"schema"`
	Examples    []typeExample   `json:"examples"`
}

type typeExample struct {
	Summary string          `json:"summary,omitempty"`
	Subject string          `json:"subject,omitempty"`
	Data    json.RawMessage `json:"data"`
}

func newTypeEntry(t *catalog.Type) typeEntry {
	entry := typeEntry{
		Type: t.Name, Title: t.Title, Description: t.Description, State: t.State, Deprecated: t.Deprecated, Schema: t.Schema(),
	}
	for _, e := range t.Examples {
		entry.Examples = append(entry.Examples, typeExample{e.Summary, e.Subject, e.Data})
	}
	return entry
}

// eventTypes answers GET /v1/event-types.
func (s *Server) eventTypes(w http.ResponseWriter, r *http.Request) error {
	key, err := s.reader(w, r)
	if err != nil {
		return err
	}
	entries := []typeEntry{}
	for _, t := range s.Catalog.Types() {
		if mayKnow(key, t.Name) {
			entries = append(entries, newTypeEntry(t))
		}
	}
	return writeJSON(w, http.StatusOK, map[string]any{"event_types": entries})
}

// eventType answers GET /v1/event-types/{type}. A type that the key may not see and a
// type that does not exist get the same answer.
func (s *Server) eventType(w http.ResponseWriter, r *http.Request) error {
	key, err := s.reader(w, r)
	if err != nil {
		return err
	}
	t := s.Catalog.Type(r.PathValue("type"))
	if t == nil || !mayKnow(key, t.Name) {
		return problem("not-found", "No event type of this name is visible to this key. GET /v1/event-types lists the types.")
	}
	return writeJSON(w, http.StatusOK, newTypeEntry(t))
}

// reader authenticates a request without parameters. Any key will do.
func (s *Server) reader(w http.ResponseWriter, r *http.Request) (*caller, error) {
	if _, err := s.query(r); err != nil {
		return nil, err
	}
	c, err := s.identify(w, r)
	if err != nil {
		return nil, err
	}
	return c, s.charge(w, r, c, s.cost(c, policy.Requests, 1))
}

// mayKnow reports whether a caller may know a type. Merchants know the types that
// they may see. All others know every type, also callers without a key: a catalogue
// holds no secrets.
func mayKnow(c *caller, typ string) bool {
	if c == nil || !c.Kind.Reads() {
		return true
	}
	return !slices.ContainsFunc(c.clauses(), func(clause filter.Clause) bool { return !filter.MatchType(clause.Types, typ) })
}

// checkData returns a problem if the event's data does not fit the catalogue.
func (s *Server) checkData(e *eventlog.Event) error {
	t := s.Catalog.Type(e.Type)
	switch {
	case t == nil && s.RejectUnknown:
		return problem("unknown-type", "Send a type that GET /v1/event-types lists, or ask the operator to add this one to the catalogue.")
	case t == nil:
		return nil
	case e.State && isNull(e.Data):
		return nil // the subject is gone
	case e.Data == nil:
		return brokenSchema(catalog.Violations{{Detail: "is required"}})
	}
	err := t.Check(e.Data)
	var violations catalog.Violations
	if errors.As(err, &violations) {
		return brokenSchema(violations)
	}
	return err
}

// isState reports whether only the newest event of each subject counts.
func (s *Server) isState(typ string) bool {
	if t := s.Catalog.Type(typ); t != nil && t.State {
		return true
	}
	return len(s.StateTypes) > 0 && filter.MatchType(s.StateTypes, typ)
}

func isNull(data []byte) bool { return len(data) == 0 || string(bytes.TrimSpace(data)) == "null" }

func brokenSchema(violations catalog.Violations) *Problem {
	places := make([]map[string]any, len(violations))
	for i, v := range violations {
		places[i] = map[string]any{"pointer": "/data" + v.Pointer, "detail": v.Detail}
	}
	return problem("schema-violation", "Fix the problems listed in errors, then send the event again. GET /v1/event-types has the schema of its data.").
		with("errors", places)
}
