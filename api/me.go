package api

import (
	"math"
	"net/http"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/filter"
)

// account is the answer of GET /v1/me.
type account struct {
	Key       accountKey              `json:"key"`
	Role      string                  `json:"role"`
	Merchant  string                  `json:"merchant,omitempty"`
	LiveMode  *bool                   `json:"livemode,omitempty"`
	Scopes    []string                `json:"scopes"`
	Limits    map[string]accountLimit `json:"limits"`
	Sees      *filter.Clause          `json:"sees,omitempty"`
	Publishes *publishes              `json:"publishes,omitempty"`
}

type accountKey struct {
	ID      string     `json:"id"`
	Name    string     `json:"name,omitempty"`
	Expires *time.Time `json:"expires_at,omitempty"`
}

// accountLimit is a limit of the key and what is left of it.
type accountLimit struct {
	Quota     int `json:"quota"`
	Window    int `json:"window_seconds,omitempty"`
	Remaining int `json:"remaining"`
	Reset     int `json:"reset_seconds,omitempty"`
}

type publishes struct {
	Merchants []string `json:"merchants,omitempty"`
	Types     []string `json:"types,omitempty"`
}

// me answers GET /v1/me.
func (s *Server) me(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.query(r); err != nil {
		return err
	}
	key, err := s.authorize(w, r, auth.Me)
	if err != nil {
		return err
	}
	limits, err := s.limitsLeft(w, r, key)
	if err != nil {
		return err
	}
	allowOrigin(w, r)
	a := account{
		Key:  accountKey{ID: key.ID, Name: key.Name},
		Role: role(key.Kind), Merchant: key.Merchant, Scopes: key.Granted(), Limits: limits,
	}
	if !key.Expires.IsZero() {
		a.Key.Expires = &key.Expires
	}
	switch {
	case key.Kind.Reads():
		live := key.Kind == auth.Live
		a.LiveMode = &live
		a.Sees = &key.Clause
	case key.Kind == auth.Pub:
		a.Publishes = &publishes{key.Merchants, key.Types}
	}
	return writeJSON(w, http.StatusOK, a)
}

// limitsLeft charges for the request and returns the rest of all limits.
func (s *Server) limitsLeft(w http.ResponseWriter, r *http.Request, c *caller) (map[string]accountLimit, error) {
	charges := ratelimit.Peek(s.limitsOf(c.Key))
	for i := range charges {
		if charges[i].Policy.Name == policy.Requests {
			charges[i].N = 1
		}
	}
	v, err := s.take(w, r, c, ratelimit.Ask{Charges: charges})
	if err != nil {
		return nil, err
	}
	limits := make(map[string]accountLimit, len(v.Decisions))
	for _, d := range v.Decisions {
		limits[d.Policy.Name] = accountLimit{
			Quota: d.Policy.Quota, Window: int(d.Policy.Window.Seconds()),
			Remaining: d.Remaining, Reset: int(math.Ceil(d.Reset.Seconds())),
		}
	}
	return limits, nil
}
