package api

import (
	"errors"
	"net/http"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit"
)

// myConnections answers GET /v1/connections.
func (s *Server) myConnections(w http.ResponseWriter, r *http.Request) error {
	c, err := s.holder(w, r)
	if err != nil {
		return err
	}
	leases, err := s.Limiter.List(r.Context(), c.ID)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"connections": s.openConnections(leases)})
}

// endMyConnection answers DELETE /v1/connections/{id}.
func (s *Server) endMyConnection(w http.ResponseWriter, r *http.Request) error {
	c, err := s.holder(w, r)
	if err != nil {
		return err
	}
	ended, err := s.endByRequest(r.Context(), c.ID, r.PathValue("id"))
	if errors.Is(err, ratelimit.ErrNoLease) {
		return problem("not-found", "This key has no open stream with this id. GET /v1/connections lists its streams.")
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, ended)
}

// holder returns the key of a request about its own streams. A token is not asked:
// it may be on any page, and would tell of the others.
func (s *Server) holder(w http.ResponseWriter, r *http.Request) (*caller, error) {
	if _, err := s.query(r); err != nil {
		return nil, err
	}
	c, err := s.authenticate(w, r, auth.Stream)
	if err == nil && c.grant != nil {
		err = problem("wrong-role", "Use a merchant's key: a token cannot list streams.").with("role", "browser")
	}
	return c, err
}
