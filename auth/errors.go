package auth

import "errors"

var (
	// ErrMalformed means that a text is no key: the form or the checksum is
	// wrong. No store was asked.
	ErrMalformed = errors.New("auth: not a well-formed key")

	// ErrUnknown means that the store answered, and has no such key.
	ErrUnknown = errors.New("auth: unknown key")

	// ErrRevoked means that the key was taken back. It comes before
	// [ErrExpired] when both hold.
	ErrRevoked = errors.New("auth: key is revoked")

	// ErrExpired means that the key's time is over, or that of the secret it had
	// before its last rotation.
	ErrExpired = errors.New("auth: key has expired")

	// ErrUnavailable means that the store could not be asked, so that nothing
	// is known about the key: neither that it is good nor that it is bad. A
	// write that ends with it may or may not have happened.
	ErrUnavailable = errors.New("auth: key store is unavailable")

	// ErrNotReplicated means that a change was made, and that no replica has
	// confirmed it: it is in effect, and may be lost with the master. Asking
	// for it again is safe, and confirms it.
	ErrNotReplicated = errors.New("auth: no replica has confirmed the change")

	// ErrConflict means that somebody else has changed the key meanwhile. Look
	// at it again before changing it.
	ErrConflict = errors.New("auth: the key was changed meanwhile")

	// ErrOverlap means that a key already has two secrets that work.
	ErrOverlap = errors.New("auth: the secret before the last rotation still works")

	// ErrToken means that a text is no token that this program takes: its form,
	// its signature, its claims, or what its key is now.
	ErrToken = errors.New("auth: not a valid token")

	// ErrTokenExpired means that a token's time is over.
	ErrTokenExpired = errors.New("auth: token has expired")
)

// A FieldError says which field of a key's description cannot stand, and why.
// Both texts may be shown to whoever wrote the description; neither repeats
// what was written.
type FieldError struct {
	Field  string // as in a key's JSON: "merchant", "expires_at"
	Reason string // what to do about it: "must be …"
}

// Error implements error.
func (e *FieldError) Error() string { return "auth: " + e.Field + " " + e.Reason }
