package auth

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/paylogic/pushserver/streams/filter"
)

const (
	// MaxTokenLen is the longest text of a token in bytes: it goes into a URL.
	MaxTokenLen = 8 << 10

	// MaxTokenLife is the longest life of a token by default.
	MaxTokenLife = 24 * time.Hour

	// tokenLeeway is how far the clock that issued a token may be ahead. The end of
	// a token has no leeway: a stream that ended and came back within it would only
	// end again.
	tokenLeeway = 30 * time.Second
)

// A Token is the text of a browser token. Its bearer sees what it grants. Like a
// [Secret] it shows itself only by [Token.Reveal].
type Token struct{ text string }

// Reveal returns the text of the token.
func (t Token) Reveal() string { return t.text }

// Format writes "[redacted]" for every verb.
func (Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements [slog.LogValuer].
func (Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText makes JSON and similar encodings show "[redacted]".
func (Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// A Grant is the content of a token. It widens nothing: its holder sees the events
// that pass both its clause and the key as it is now.
type Grant struct {
	ID  string // of this token; not secret
	Key string // id of the key that it was minted from

	filter.Clause // zero: no narrower than the key

	// Origin is the origin of the pages that the token is for. It is empty in a token
	// of another issuer, which is for the origins that the key names.
	Origin string

	Issued  time.Time
	Expires time.Time

	tag string // of the key's secret at minting; empty: any
}

// allowedBy returns nil if the key, as it is now, supports the grant.
func (g *Grant) allowedBy(key *Key, now time.Time) error {
	switch {
	case !now.Before(g.Expires):
		return ErrTokenExpired
	case g.Origin != "" && !key.Kind.Reads():
		return fmt.Errorf("%w: %s belongs to no merchant", ErrToken, key.ID)
	case g.Origin != "" && !key.AllowsOrigin(g.Origin):
		return fmt.Errorf("%w: %s no longer allows its origin", ErrToken, key.ID)
	case g.tag != "" && g.tag != tagOf(key.secret) && (key.former == Hash{} || g.tag != tagOf(key.former)):
		return fmt.Errorf("%w: %s has other secrets now", ErrToken, key.ID)
	}
	return nil
}

// tagOf names a secret in the tokens of its key, so that a rotation without an overlap
// ends them too.
func tagOf(hash Hash) string { return hash.String()[:12] }
