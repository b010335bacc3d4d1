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

	// ErrExpired means that the key's time is over.
	ErrExpired = errors.New("auth: key has expired")

	// ErrUnavailable means that the store could not be asked, so that nothing
	// is known about the key: neither that it is good nor that it is bad. A
	// write that ends with it may or may not have happened.
	ErrUnavailable = errors.New("auth: key store is unavailable")
)

// A FieldError says which field of a key's description cannot stand, and why.
// Both texts may be shown to whoever wrote the description; neither repeats
// what was written.
type FieldError struct {
	Field  string // as in a key's JSON: "merchant", "expires"
	Reason string // what to do about it: "must be …"
}

// Error implements error.
func (e *FieldError) Error() string { return "auth: " + e.Field + " " + e.Reason }
