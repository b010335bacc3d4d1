package auth

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/paylogic/pushserver/streams/filter"
)

const (
	// MaxTokenLen is how long the text of a token can be: it goes into a URL.
	MaxTokenLen = 8 << 10

	// MaxTokenLife is how long a token lives at most, unless configuration
	// says otherwise.
	MaxTokenLife = 24 * time.Hour

	// tokenLeeway is by how much the clock that issued a token may be ahead.
	// The end of a token knows none: streams end at it, and one that came back
	// within a leeway would only end again.
	tokenLeeway = 30 * time.Second
)

// A Token is the text of a browser token: whoever has it sees what it grants.
// Like a [Secret] it shows itself only by [Token.Reveal].
type Token struct{ text string }

// Reveal returns the text of the token, for handing it out.
func (t Token) Reveal() string { return t.text }

// Format writes "[redacted]" for every verb.
func (Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements [slog.LogValuer].
func (Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText makes JSON and its like show "[redacted]".
func (Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// A Grant is what a token says. It widens nothing: its holder sees what the key
// may see now and what the grant's own clauses, which narrow that, leave of it.
// Both are to be applied to every event.
type Grant struct {
	ID  string // of this one token; may be shown and logged
	Key string // id of the key that it is a part of, and dies with

	filter.Clause // zero: no narrower than the key

	// Origin is that of the pages the token is for. It is empty in a token of
	// another issuer: such a one is for the pages that the key names.
	Origin string

	Issued  time.Time
	Expires time.Time

	tag string // of the key's secret when the token was minted; empty: of any
}

// allowedBy returns nil if a key, as it is now, still stands behind the grant.
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

// tagOf names a secret in the tokens of its key, so that a rotation without an
// overlap ends them too.
func tagOf(hash Hash) string { return hash.String()[:12] }
