package auth

import "errors"

var (
	// ErrMalformed means that a text is not a key: its form or its checksum is
	// wrong. The store was not asked.
	ErrMalformed = errors.New("auth: not a well-formed key")

	// ErrUnknown means that the store has no such key.
	ErrUnknown = errors.New("auth: unknown key")

	// ErrRevoked means that the key was revoked. It takes precedence over
	// [ErrExpired].
	ErrRevoked = errors.New("auth: key is revoked")

	// ErrExpired means that the key has expired, or the secret that it had before
	// its last rotation.
	ErrExpired = errors.New("auth: key has expired")

	// ErrUnavailable means that the store could not be reached. It says nothing
	// about the key. A write that ends with it may or may not have happened.
	ErrUnavailable = errors.New("auth: key store is unavailable")

	// ErrNotReplicated means that a change was made but no replica confirmed it.
	// The change is in effect, and may be lost with the master. Repeat the call to
	// confirm it; repeating is safe.
	ErrNotReplicated = errors.New("auth: no replica has confirmed the change")

	// ErrConflict means that the key was changed since the caller read it. Read it
	// again before changing it.
	ErrConflict = errors.New("auth: the key was changed meanwhile")

	// ErrOverlap means that a key already has two secrets that work.
	ErrOverlap = errors.New("auth: the secret before the last rotation still works")

	// ErrToken means that a token is not accepted because of its form, its
	// signature, its claims, or the present state of its key.
	ErrToken = errors.New("auth: not a valid token")

	// ErrTokenExpired means that a token has expired.
	ErrTokenExpired = errors.New("auth: token has expired")
)

// A FieldError says which field of a key's description is invalid, and why. Both texts
// may be shown to the caller; neither repeats the caller's input.
type FieldError struct {
	Field  string // as in a key's JSON: "merchant", "expires_at"
	Reason string // what to do about it: "must be …"
}

// Error implements error.
func (e *FieldError) Error() string { return "auth: " + e.Field + " " + e.Reason }
