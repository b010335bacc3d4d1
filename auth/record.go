package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/filter"
)

// recordVersion is the newest version of a record that this program reads.
const recordVersion = 2

// A record is a stored key. Its revocation and its last use are stored beside it:
// revoking a key must not depend on what a newer version wrote here, and a use is not
// a change. An edit writes the whole record and so drops unknown members.
//
// Version is the oldest version whose readers treat the key correctly. They ignore
// members that they do not know. A new label therefore keeps Version; a new restriction
// raises it, because a gateway that ignored it would show too much.
type record struct {
	Version  int    `json:"v"`
	ID       string `json:"id"`
	Kind     Kind   `json:"kind"`
	Merchant string `json:"merchant,omitempty"`
	Name     string `json:"name,omitempty"`
	filter.Clause
	Merchants []string  `json:"merchants,omitempty"`
	Scopes    []string  `json:"scopes,omitempty"`
	Created   time.Time `json:"created"`
	Expires   time.Time `json:"expires,omitzero"`
	Revision  int64     `json:"rev"` // redis_replace.lua reads it and the two hashes
	Secret    Hash      `json:"secret"`

	// What follows came with version 2.
	Origins     []string      `json:"origins,omitempty"`
	Limits      policy.Limits `json:"limits,omitempty"`
	Former      Hash          `json:"former,omitzero"`
	FormerUntil time.Time     `json:"former_until,omitzero"`
}

func versionOf(k *Key) int {
	if len(k.Origins) > 0 || len(k.Limits) > 0 || k.former != (Hash{}) {
		return 2
	}
	return 1
}

func encodeRecord(k *Key) ([]byte, error) {
	return json.Marshal(record{
		Version:   versionOf(k),
		ID:        k.ID,
		Kind:      k.Kind,
		Merchant:  k.Merchant,
		Name:      k.Name,
		Clause:    k.Clause,
		Merchants: k.Merchants,
		Scopes:    k.Scopes,
		Created:   k.Created,
		Expires:   k.Expires,
		Revision:  k.Revision,
		Secret:    k.secret,

		Origins:     k.Origins,
		Limits:      k.Limits,
		Former:      k.former,
		FormerUntil: k.FormerUntil,
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
	case r.Secret == Hash{}:
		return nil, fmt.Errorf("auth: record of %s has no secret", r.ID)
	case r.Limits.Check() != nil:
		return nil, fmt.Errorf("auth: record of %s: %w", r.ID, r.Limits.Check())
	}
	return &Key{
		ID:        r.ID,
		Kind:      r.Kind,
		Merchant:  r.Merchant,
		Name:      r.Name,
		Clause:    r.Clause,
		Merchants: r.Merchants,
		Scopes:    r.Scopes,
		Created:   r.Created,
		Expires:   r.Expires,
		Revision:  r.Revision,
		secret:    r.Secret,

		Origins:     r.Origins,
		Limits:      r.Limits,
		former:      r.Former,
		FormerUntil: r.FormerUntil,
	}, nil
}

// replaces returns nil if next may replace the stored key, else [ErrRevoked] or
// [ErrConflict]. Writing the same record again is allowed: that confirms a change. Every
// [Store] decides by this function; redis_replace.lua repeats it.
func replaces(kept, next *Key) error {
	switch {
	case !kept.Revoked.IsZero():
		return ErrRevoked
	case kept.Revision != next.Revision-1 && !sameRecord(kept, next):
		return ErrConflict
	}
	return nil
}

// sameRecord reports whether two keys have the same record.
func sameRecord(a, b *Key) bool {
	textA, errA := encodeRecord(a)
	textB, errB := encodeRecord(b)
	return errA == nil && errB == nil && bytes.Equal(textA, textB)
}
