package api

import (
	"net/http"
	"time"

	"github.com/paylogic/pushserver/auth"
)

// account is the answer of GET /v1/me.
type account struct {
	Key       accountKey `json:"key"`
	Role      string     `json:"role"`
	Merchant  string     `json:"merchant,omitempty"`
	LiveMode  *bool      `json:"livemode,omitempty"`
	Scopes    []string   `json:"scopes"`
	Sees      *sees      `json:"sees,omitempty"`
	Publishes *publishes `json:"publishes,omitempty"`
}

type accountKey struct {
	ID      string     `json:"id"`
	Name    string     `json:"name,omitempty"`
	Expires *time.Time `json:"expires_at,omitempty"`
}

type sees struct {
	Types    []string `json:"types,omitempty"`
	Subjects []string `json:"subjects,omitempty"`
	Filter   string   `json:"filter,omitempty"`
}

type publishes struct {
	Merchants []string `json:"merchants,omitempty"`
	Types     []string `json:"types,omitempty"`
}

// me answers GET /v1/me.
func (s *Server) me(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseQuery(r.URL.RawQuery, r.Header.Get("Authorization") != ""); err != nil {
		return err
	}
	key, err := s.authenticate(r, auth.Me)
	if err != nil {
		return err
	}
	allowOrigin(w, r)
	a := account{
		Key:  accountKey{ID: key.ID, Name: key.Name},
		Role: role(key.Kind), Merchant: key.Merchant, Scopes: key.Granted(),
	}
	if !key.Expires.IsZero() {
		a.Key.Expires = &key.Expires
	}
	switch {
	case key.Kind.Reads():
		live := key.Kind == auth.Live
		a.LiveMode = &live
		a.Sees = &sees{key.Types, key.Subjects, key.Filter}
	case key.Kind == auth.Pub:
		a.Publishes = &publishes{key.Merchants, key.Types}
	}
	return writeJSON(w, http.StatusOK, a)
}
