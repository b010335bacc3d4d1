package auth

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/paylogic/pushserver/internal/base62"
)

// MinSigningLen is the least length of a signing secret in bytes: the size of the
// HS256 hash (RFC 7518, 3.2).
const MinSigningLen = 32

const (
	redacted    = "[redacted]"
	fewestBytes = 6 // different ones in a secret; 32 random hexadecimal digits have fewer once in 10^9 times
)

// A SigningSecret signs tokens. All gateways share it. It always prints as
// "[redacted]".
type SigningSecret struct{ text string }

// NewSigningSecret makes a random secret, for a server without other gateways.
func NewSigningSecret() SigningSecret { return SigningSecret{base62.Random(48)} }

// ParseSigningSecrets reads secrets separated by white space. The first signs; all
// verify, so that a secret can be replaced while its tokens are in use.
//
// Each has at least [MinSigningLen] bytes of printable ASCII. A well-known or
// repetitive secret is refused; the error says which.
func ParseSigningSecrets(text string) ([]SigningSecret, error) {
	var secrets []SigningSecret
	for i, field := range strings.Fields(text) {
		if err := checkSigningSecret(field); err != nil {
			return nil, fmt.Errorf("secret %d %w", i+1, err)
		}
		for j, other := range secrets {
			if other.text == field {
				return nil, fmt.Errorf("secret %d is secret %d again", i+1, j+1)
			}
		}
		secrets = append(secrets, SigningSecret{field})
	}
	if len(secrets) == 0 {
		return nil, errors.New("there is no secret")
	}
	return secrets, nil
}

// LoadSigningSecrets is [ParseSigningSecrets] for the text of a file, which
// [ReadSecretFile] reads.
func LoadSigningSecrets(path string) ([]SigningSecret, error) {
	text, err := ReadSecretFile(path)
	if err != nil {
		return nil, err
	}
	secrets, err := ParseSigningSecrets(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return secrets, nil
}

// wellKnown are words that placeholder secrets are made of, and published examples.
var wellKnown = []string{
	"a-string-secret-at-least-256-bits-long", "your-256-bit-secret",
	"changeme", "change-me", "change_me", "changethis", "replaceme", "password", "passw0rd", "secret",
	"default", "insecure", "example", "pushserver", "development", "testing",
	"0123456789", "1234567890", "abcdefghijklmnopqrstuvwxyz",
}

func checkSigningSecret(text string) error {
	const how = `: make one with "openssl rand -base64 48"`
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return errors.New("must be printable ASCII" + how)
		}
	}
	if len(text) < MinSigningLen {
		return fmt.Errorf("has %d bytes, and must have %d or more"+how, len(text), MinSigningLen)
	}
	different := map[byte]bool{}
	for i := range len(text) {
		different[text[i]] = true
	}
	if len(different) < fewestBytes || repeats(text) {
		return errors.New("repeats itself" + how)
	}
	own := strings.ToLower(text)
	for _, word := range wellKnown {
		own = strings.ReplaceAll(own, word, "")
	}
	if len(own) < MinSigningLen {
		return errors.New("consists of well-known words" + how)
	}
	return nil
}

// repeats reports whether text is a shorter text repeated, the last time possibly cut
// off.
func repeats(text string) bool {
	for n := 1; n <= len(text)/2; n++ {
		if text[n:] == text[:len(text)-n] {
			return true
		}
	}
	return false
}

// id names the secret in the header of the tokens that it signs.
func (s SigningSecret) id() string {
	sum := sha256.Sum256([]byte("kid\x00" + s.text))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

// Format writes "[redacted]" for every verb.
func (SigningSecret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements [slog.LogValuer].
func (SigningSecret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText makes JSON and its like show "[redacted]".
func (SigningSecret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
