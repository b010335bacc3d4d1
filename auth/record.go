package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// recordVersion is the newest form of record that this program understands.
const recordVersion = 1

// A record is a key at rest, revocation excepted: that is kept beside it, so
// that revoking a key never rewrites what a newer version may have put here.
//
// Version is the oldest form that a reader must understand to treat the key
// rightly. Members it does not know are skipped as long as that holds: a new
// label leaves Version alone, a new restriction raises it, for a gateway that
// skipped a restriction would show more than the key may see.
type record struct {
	Version   int       `json:"v"`
	ID        string    `json:"id"`
	Kind      Kind      `json:"kind"`
	Merchant  string    `json:"merchant,omitempty"`
	Name      string    `json:"name,omitempty"`
	Types     []string  `json:"types,omitempty"`
	Subjects  []string  `json:"subjects,omitempty"`
	Filter    string    `json:"filter,omitempty"`
	Merchants []string  `json:"merchants,omitempty"`
	Scopes    []string  `json:"scopes,omitempty"`
	Created   time.Time `json:"created"`
	Expires   time.Time `json:"expires,omitzero"`
}

func encodeRecord(k *Key) ([]byte, error) {
	return json.Marshal(record{
		Version:   1, // raise it only for keys that use what version 1 does not know
		ID:        k.ID,
		Kind:      k.Kind,
		Merchant:  k.Merchant,
		Name:      k.Name,
		Types:     k.Types,
		Subjects:  k.Subjects,
		Filter:    k.Filter,
		Merchants: k.Merchants,
		Scopes:    k.Scopes,
		Created:   k.Created,
		Expires:   k.Expires,
	})
}

func decodeRecord(text string) (*Key, error) {
	var r record
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return nil, fmt.Errorf("auth: decode a key's record: %w", err)
	}
	switch {
	case r.ID == "":
		return nil, errors.New("auth: a key's record has no id")
	case r.Version < 1 || r.Version > recordVersion:
		return nil, fmt.Errorf("auth: record of %s has version %d, this program reads up to %d", r.ID, r.Version, recordVersion)
	case !r.Kind.valid():
		return nil, fmt.Errorf("auth: record of %s has kind %q, which this program does not know", r.ID, r.Kind)
	case r.Kind.Reads() && !ValidMerchant(r.Merchant):
		return nil, fmt.Errorf("auth: record of %s names no merchant", r.ID)
	}
	return &Key{
		ID:        r.ID,
		Kind:      r.Kind,
		Merchant:  r.Merchant,
		Name:      r.Name,
		Types:     r.Types,
		Subjects:  r.Subjects,
		Filter:    r.Filter,
		Merchants: r.Merchants,
		Scopes:    r.Scopes,
		Created:   r.Created,
		Expires:   r.Expires,
	}, nil
}
