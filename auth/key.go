package auth

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/filter"
)

// A Key is the record of an API key: whose it is and what its bearer may do.
// It holds nothing of the secret.
//
// A key that a [Keyring] or a [Store] has returned is shared or soon stale:
// read it, do not change it.
type Key struct {
	ID       string // "key_" and random characters; may be shown and logged
	Kind     Kind
	Merchant string // whose log a live or test key reads; else empty
	Name     string // for people; may be empty

	// Clause says which events a live or test key sees. The types of a
	// publisher's key are those it may publish; its other parts are empty.
	filter.Clause
	// Merchants are those a publisher's key may publish to. Empty: all.
	Merchants []string
	// Scopes narrow what the key may do. Empty: all that its kind may, and
	// what the kind may in a later version too.
	Scopes []string
	// Origins are those of the pages that tokens of a live or test key may be
	// for, as browsers send them. Empty: any, though each token is for one.
	Origins []string
	// Limits override the server's, one name at a time.
	Limits policy.Limits

	Revision int64 // 1 when the key is made, one more with each edit and rotation
	Created  time.Time
	Expires  time.Time // zero: never
	Revoked  time.Time // zero: it is not; any other time counts at once

	// FormerUntil is when the secret before the last rotation ends, or ended.
	// Zero: there is none.
	FormerUntil time.Time
	// LastUsed is when the key was last used, to about a minute. Zero: never.
	LastUsed time.Time

	secret Hash // of the secret that the bearer has
	former Hash // of the one before the last rotation; zero: none
}

// Usable returns nil while the key may be used, else [ErrRevoked] or
// [ErrExpired].
//
// A revocation counts whatever its time: it must not wait for a gateway whose
// clock is behind the one that wrote it.
func (k *Key) Usable(now time.Time) error {
	switch {
	case !k.Revoked.IsZero():
		return ErrRevoked
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		return ErrExpired
	}
	return nil
}

// UsableBy is [Key.Usable] for a bearer whose secret has this hash.
func (k *Key) UsableBy(hash Hash, now time.Time) error {
	if !k.has(hash) {
		return ErrUnknown
	}
	if err := k.Usable(now); err != nil {
		return err
	}
	if hash != k.secret && !now.Before(k.FormerUntil) {
		return fmt.Errorf("secret was replaced: %w", ErrExpired)
	}
	return nil
}

// Ends returns the time from which on the secret with this hash is no longer
// taken, as far as it is known; zero: never.
func (k *Key) Ends(hash Hash) time.Time {
	if hash != k.secret && (k.Expires.IsZero() || k.FormerUntil.Before(k.Expires)) {
		return k.FormerUntil
	}
	return k.Expires
}

// has reports whether the hash is that of the key's secret, or of the former.
func (k *Key) has(hash Hash) bool {
	return hash != Hash{} && (hash == k.secret || hash == k.former)
}

// AllowsOrigin reports whether tokens of the key may be for pages of this
// origin. Origins are compared byte by byte.
func (k *Key) AllowsOrigin(origin string) bool {
	return len(k.Origins) == 0 || slices.Contains(k.Origins, origin)
}

// May reports whether the key may do what scope names.
func (k *Key) May(scope string) bool {
	return slices.Contains(k.Kind.Scopes(), scope) &&
		(len(k.Scopes) == 0 || slices.Contains(k.Scopes, scope))
}

// Granted returns all scopes for which [Key.May] is true.
func (k *Key) Granted() []string {
	scopes := k.Kind.Scopes()
	return slices.DeleteFunc(scopes, func(scope string) bool { return !k.May(scope) })
}

// MayPublishTo reports whether the key may publish to this merchant. Whether
// it may publish a type is for whoever matches [Key.Types].
func (k *Key) MayPublishTo(merchant string) bool {
	return k.May(Publish) && (len(k.Merchants) == 0 || slices.Contains(k.Merchants, merchant))
}

// Log returns the name of the log that the key reads: the merchant's, or with
// ".test" behind it its test log. It is empty for a key that reads none.
func (k *Key) Log() string {
	switch k.Kind {
	case Live:
		return k.Merchant
	case Test:
		return k.Merchant + ".test"
	}
	return ""
}

func (k *Key) clone() *Key {
	c := *k
	c.Types = slices.Clone(k.Types)
	c.Subjects = slices.Clone(k.Subjects)
	c.Merchants = slices.Clone(k.Merchants)
	c.Scopes = slices.Clone(k.Scopes)
	c.Origins = slices.Clone(k.Origins)
	c.Limits = slices.Clone(k.Limits)
	return &c
}

// compareKeys orders keys by creation, and those of one millisecond by id.
func compareKeys(a, b *Key) int {
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
}
