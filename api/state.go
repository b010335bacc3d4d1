package api

import (
	"net/http"
	"slices"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams/eventlog"
)

// state answers GET /v1/state.
func (s *Server) state(w http.ResponseWriter, r *http.Request) error {
	q, err := s.query(r)
	if err != nil {
		return err
	}
	key, err := s.authenticate(w, r, auth.History)
	if err != nil {
		return err
	}
	allowOrigin(w, r)
	if err := s.checkQuery(r, q); err != nil {
		return err
	}
	f, err := s.view(key, q)
	if err != nil {
		return err
	}
	c, err := s.beginReading(key, auth.History, f, false)
	if err != nil {
		return err
	}
	defer c.endReading()
	state, err := s.Hub.State(r.Context(), f.log, f.filter)
	if err != nil {
		return err
	}
	now, err := s.lastLook(w, r, c)
	if err != nil {
		return err
	}
	state.Entries = slices.DeleteFunc(state.Entries, func(e eventlog.Entry) bool { return !now.Match(e.Event.Predicate()) })
	b := appendItems([]byte(`{"state":[`), state.Entries, f.data)
	b = append(b, `],"cursor":"`...)
	b = state.Head.Append(b)
	b = append(b, "\"}\n"...)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(b) // an error means that the client left
	return nil
}
