package auth

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/filter"
)

// A Key is the record of an API key: its owner, and what its bearer may do. It does
// not contain the secret.
//
// A key that a [Keyring] or a [Store] returns may be shared: read it, do not change
// it.
type Key struct {
	ID       string // "key_" and random characters; not secret
	Kind     Kind
	Merchant string // whose log a live or test key reads; empty for other kinds
	Name     string // for people; may be empty

	// Clause says which events a live or test key sees. For a publisher's key, Types
	// are the types that it may publish, and the rest is empty.
	filter.Clause
	// Merchants are the merchants that a publisher's key may publish to. Empty: all.
	Merchants []string
	// Scopes narrow what the key may do. Empty: all that its kind may do, in this
	// version and in later ones.
	Scopes []string
	// Origins are the page origins that tokens of a live or test key may be for, as
	// browsers send them. Empty: any. Each token is for one origin.
	Origins []string
	// Limits override the server's, one name at a time.
	Limits policy.Limits

	Revision int64 // starts at 1; each edit and rotation adds one
	Created  time.Time
	Expires  time.Time // zero: never
	Revoked  time.Time // zero: not revoked

	// FormerUntil is when the secret before the last rotation ends or ended. Zero:
	// there is no such secret.
	FormerUntil time.Time
	// LastUsed is when the key was last used, to about a minute. Zero: never.
	LastUsed time.Time

	secret Hash // of the current secret
	former Hash // of the secret before the last rotation; zero: none
}

// Usable returns nil while the key may be used, else [ErrRevoked] or [ErrExpired].
//
// A revoked key is unusable whatever the time of its revocation: the clock of this
// gateway may be behind the clock of the one that revoked it.
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

// Ends returns when the secret with this hash stops working. Zero: never.
func (k *Key) Ends(hash Hash) time.Time {
	if hash != k.secret && (k.Expires.IsZero() || k.FormerUntil.Before(k.Expires)) {
		return k.FormerUntil
	}
	return k.Expires
}

func (k *Key) has(hash Hash) bool {
	return hash != Hash{} && (hash == k.secret || hash == k.former)
}

// AllowsOrigin reports whether tokens of the key may be for pages of this origin. It
// compares origins byte by byte.
func (k *Key) AllowsOrigin(origin string) bool {
	return len(k.Origins) == 0 || slices.Contains(k.Origins, origin)
}

// May reports whether the key has this scope.
func (k *Key) May(scope string) bool {
	return slices.Contains(k.Kind.Scopes(), scope) &&
		(len(k.Scopes) == 0 || slices.Contains(k.Scopes, scope))
}

// Granted returns all scopes for which [Key.May] is true.
func (k *Key) Granted() []string {
	scopes := k.Kind.Scopes()
	return slices.DeleteFunc(scopes, func(scope string) bool { return !k.May(scope) })
}

// MayPublishTo reports whether the key may publish to this merchant. The caller
// matches the type of the event against [Key.Types].
func (k *Key) MayPublishTo(merchant string) bool {
	return k.May(Publish) && (len(k.Merchants) == 0 || slices.Contains(k.Merchants, merchant))
}

// Log returns the name of the log that the key reads: the merchant for a live key, and
// the merchant followed by ".test" for a test key. It is empty for other keys.
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

// compareKeys orders keys by time of creation, then by id.
func compareKeys(a, b *Key) int {
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
}
