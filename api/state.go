package api

import (
	"net/http"

	"github.com/paylogic/pushserver/auth"
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
	state, err := s.Hub.State(r.Context(), f.log, f.filter)
	if err != nil {
		return err
	}
	b := appendItems([]byte(`{"state":[`), state.Entries, f.data)
	b = append(b, `],"cursor":"`...)
	b = state.Head.Append(b)
	b = append(b, "\"}\n"...)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(b) // an error means that the client left
	return nil
}
