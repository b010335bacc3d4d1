package keys

import (
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/filter"
)

// A View is a key as clients see it. It has the secret only in the answer to the call
// that made the secret.
type View struct {
	ID        string    `json:"id"`
	Key       string    `json:"key,omitempty"` // the secret
	Kind      auth.Kind `json:"kind"`
	Merchant  string    `json:"merchant,omitempty"`
	Merchants []string  `json:"merchants,omitempty"`
	Name      string    `json:"name,omitempty"`
	filter.Clause
	Scopes      []string      `json:"scopes"`
	Origins     []string      `json:"origins,omitempty"`
	Limits      policy.Limits `json:"limits,omitempty"`
	Revision    int64         `json:"revision"`
	Created     time.Time     `json:"created_at"`
	Expires     time.Time     `json:"expires_at,omitzero"`
	Revoked     time.Time     `json:"revoked_at,omitzero"`
	FormerUntil time.Time     `json:"former_until,omitzero"` // when the secret before the last rotation ends
	LastUsed    time.Time     `json:"last_used_at,omitzero"` // to about a minute
	Warning     string        `json:"warning,omitempty"`     // about the new secret
}

func view(k *auth.Key) View {
	return View{
		ID: k.ID, Kind: k.Kind, Merchant: k.Merchant, Merchants: k.Merchants, Name: k.Name,
		Clause: k.Clause,
		Scopes: k.Granted(), Origins: k.Origins, Limits: k.Limits, Revision: k.Revision,
		Created: k.Created.UTC(), Expires: inUTC(k.Expires), Revoked: inUTC(k.Revoked),
		FormerUntil: inUTC(k.FormerUntil), LastUsed: inUTC(k.LastUsed),
	}
}

// inUTC keeps the zero time, which means that there is none.
func inUTC(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}
