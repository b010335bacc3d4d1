package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"strings"

	"github.com/paylogic/pushserver/internal/base62"
)

const (
	secretPrefix = "ps_"
	randomLen    = 24 // 142 bits
	maxRandomLen = 64 // what may come to be minted one day
	checksumLen  = 6  // 62^6 > 2^32
	maxSecretLen = len(secretPrefix) + 4 + 1 + maxRandomLen + checksumLen
)

// A Secret is the text of an API key. Its bearer has the rights of the key.
//
// Its form is ps_<kind>_, at least 24 random base62 characters, and 6 base62
// characters with the CRC-32 (IEEE) of everything before them, so that a typing error
// is found without a look-up. Printing, logging and encoding show only its kind;
// [Secret.Reveal] is the only way to the text.
type Secret struct {
	text string
	kind Kind
}

// Mint makes a new secret. It panics if the kind is unknown.
func Mint(kind Kind) Secret {
	if !kind.valid() {
		panic("auth: mint a secret of no kind")
	}
	body := secretPrefix + string(kind) + "_" + base62.Random(randomLen)
	sum := checksum(body)
	return Secret{text: body + string(sum[:]), kind: kind}
}

// ParseSecret returns text as a secret, or [ErrMalformed]. It does not say whether the
// secret was ever minted.
func ParseSecret(text string) (Secret, error) {
	if len(text) > maxSecretLen {
		return Secret{}, ErrMalformed
	}
	rest, ok := strings.CutPrefix(text, secretPrefix)
	if !ok {
		return Secret{}, ErrMalformed
	}
	name, body, _ := strings.Cut(rest, "_")
	kind := Kind(name)
	if !kind.valid() || len(body) < randomLen+checksumLen || len(body) > maxRandomLen+checksumLen {
		return Secret{}, ErrMalformed
	}
	for i := range len(body) {
		if !base62.Is(body[i]) {
			return Secret{}, ErrMalformed
		}
	}
	// The checksum guards against typing errors and holds nothing secret, so
	// an ordinary comparison will do.
	at := len(text) - checksumLen
	if sum := checksum(text[:at]); string(sum[:]) != text[at:] {
		return Secret{}, ErrMalformed
	}
	return Secret{text: text, kind: kind}, nil
}

// Reveal returns the text of the secret, to be shown once to its owner.
func (s Secret) Reveal() string { return s.text }

// Kind returns the kind in the text of the secret.
func (s Secret) Kind() Kind { return s.kind }

// Hash returns the SHA-256 of the secret.
func (s Secret) Hash() Hash {
	var b [maxSecretLen]byte
	return sha256.Sum256(b[:copy(b[:], s.text)])
}

// String returns only the kind of the secret.
func (s Secret) String() string { return secretPrefix + string(s.kind) + "_[redacted]" }

// GoString is [Secret.String].
func (s Secret) GoString() string { return s.String() }

// Format writes [Secret.String] for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue implements [slog.LogValuer] with [Secret.String].
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText makes JSON and similar encodings show [Secret.String].
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// A Hash is the SHA-256 of a secret, the only part of it that is stored.
//
// A secret has 142 random bits, so its hash cannot be reversed or steered. A look-up in
// a map or in Redis therefore need not take constant time.
type Hash [sha256.Size]byte

// String returns the hash in lower-case hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText returns [Hash.String].
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what [Hash.MarshalText] writes.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(h)) {
		return errors.New("auth: a hash of another length")
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// checksum returns the CRC-32 of body in base62, most significant digit first.
func checksum(body string) [checksumLen]byte {
	var b [maxSecretLen]byte
	n := crc32.ChecksumIEEE(b[:copy(b[:], body)])
	var sum [checksumLen]byte
	for i := len(sum) - 1; i >= 0; i-- {
		sum[i] = base62.Digits[n%62]
		n /= 62
	}
	return sum
}
