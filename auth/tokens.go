package auth

import (
	"cmp"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// tokenType is the type in the header of our tokens. It keeps other tokens of the same
// secret or issuer from being accepted (RFC 8725, 3.11).
const tokenType = "ps-browser+jwt"

const (
	defaultName = "pushserver"
	minRSABits  = 2048 // RFC 7518, 3.3
)

// TokenOptions configure [NewTokens].
type TokenOptions struct {
	// Secrets sign tokens (HS256) and verify them: the first signs. Without secrets
	// no token is minted, and only tokens of other issuers are accepted.
	Secrets []SigningSecret
	// Issuer and Audience are the claims in our tokens. Zero: "pushserver".
	Issuer, Audience string
	// MaxLife is the longest life of a token. Zero: [MaxTokenLife].
	MaxLife time.Duration
	// Issuers are the other issuers whose tokens are accepted.
	Issuers []Issuer
}

// An Issuer is another party whose tokens are accepted. The configuration, and nothing
// in a token, says which key they use. They see what that key may see.
type Issuer struct {
	Name      string // the claim iss
	Audience  string // that the claim aud must name
	Type      string // that the header must name; empty: none, or "JWT"
	Algorithm string // the only one: ES256, RS256 or EdDSA
	Key       string // id of the key that the bearer is taken for

	// Keys returns the public key for a token's header, by its kid alone. It must not
	// fetch anything that the token names.
	Keys jwt.Keyfunc
}

// Tokens mints browser tokens, and reads them and those of other issuers. It asks no
// store: a [Keyring] says whether the key of a token may still be used.
//
// A token is a JWT (RFC 7519) by the rules of RFC 8725: the configuration fixes its
// type, issuer and algorithm together. Its header names these and a key id, and nothing
// else, so it cannot ask for anything to be fetched, decompressed or treated as
// critical.
type Tokens struct {
	secrets  []signingKey // the first signs
	issuer   string
	audience string
	life     time.Duration
	own      *source
	others   []*source
}

type signingKey struct {
	id  string
	key []byte
}

// A source is where tokens of one kind come from.
type source struct {
	Issuer
	method jwt.SigningMethod
	ours   bool
}

// NewTokens returns Tokens, or an error that names the invalid option.
func NewTokens(o TokenOptions) (*Tokens, error) {
	if len(o.Secrets) == 0 && len(o.Issuers) == 0 {
		return nil, errors.New("auth: tokens need a secret, or an issuer")
	}
	t := &Tokens{
		issuer:   cmp.Or(o.Issuer, defaultName),
		audience: cmp.Or(o.Audience, defaultName),
		life:     cmp.Or(o.MaxLife, MaxTokenLife),
	}
	if t.life < time.Second {
		return nil, errors.New("auth: tokens must be allowed to live for a second or more")
	}
	for i, secret := range o.Secrets {
		if err := checkSigningSecret(secret.text); err != nil {
			return nil, fmt.Errorf("auth: secret %d %w", i+1, err)
		}
		t.secrets = append(t.secrets, signingKey{secret.id(), []byte(secret.text)})
	}
	if len(o.Secrets) > 0 {
		t.own = &source{method: jwt.SigningMethodHS256, ours: true, Issuer: Issuer{
			Name: t.issuer, Audience: t.audience, Type: tokenType, Algorithm: "HS256", Keys: t.secretFor,
		}}
	}
	for _, issuer := range o.Issuers {
		if err := issuer.check(t.issuer); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(t.others, func(s *source) bool { return s.Name == issuer.Name }) {
			return nil, fmt.Errorf("auth: issuer %q is there twice", issuer.Name)
		}
		t.others = append(t.others, &source{method: jwt.GetSigningMethod(issuer.Algorithm), Issuer: issuer})
	}
	return t, nil
}

func (i *Issuer) check(own string) error {
	switch {
	case i.Name == "" || i.Name == own:
		return fmt.Errorf("auth: issuer %q must have a name that is not our own", i.Name)
	case i.Audience == "":
		return fmt.Errorf("auth: issuer %q must have an audience", i.Name)
	case i.Type == tokenType:
		return fmt.Errorf("auth: issuer %q must have a type that is not our own", i.Name)
	case !slices.Contains([]string{"ES256", "RS256", "EdDSA"}, i.Algorithm):
		return fmt.Errorf("auth: issuer %q must have the algorithm ES256, RS256 or EdDSA", i.Name)
	case i.Key == "" || i.Keys == nil:
		return fmt.Errorf("auth: issuer %q must have a key, and public keys to verify with", i.Name)
	}
	return nil
}

// secretFor returns the secret that a header names, or all if it names none.
func (t *Tokens) secretFor(token *jwt.Token) (any, error) {
	var set jwt.VerificationKeySet
	kid, named := token.Header["kid"]
	for _, secret := range t.secrets {
		if !named || secret.id == kid {
			set.Keys = append(set.Keys, secret.key)
		}
	}
	return set, nil
}

// Parse returns what a token grants, or [ErrToken] or [ErrTokenExpired].
func (t *Tokens) Parse(text string) (*Grant, error) {
	grant, err := t.parse(text, time.Now())
	if err != nil && !errors.Is(err, ErrTokenExpired) {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	return grant, err
}

// parse reads no claim before the signature is verified, except the name of another
// issuer, which selects the keys to verify with.
func (t *Tokens) parse(text string, now time.Time) (*Grant, error) {
	form, err := parseJWS(text)
	if err != nil {
		return nil, err
	}
	from, err := t.sourceOf(form)
	if err != nil {
		return nil, err
	}
	if err := from.verify(form); err != nil {
		return nil, err
	}
	claims, err := from.readClaims(form.payload)
	if err != nil {
		return nil, err
	}
	return from.grant(claims, t.life, now)
}

// sourceOf returns the only source that a token can be from, by what the token says of
// itself. The caller then verifies the signature with a key of that source.
func (t *Tokens) sourceOf(form jws) (*source, error) {
	from := t.own
	if form.typ() != tokenType {
		name, err := form.issuer()
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(t.others, func(s *source) bool { return s.Name == name })
		if at < 0 {
			return nil, errors.New("a type or an issuer that is not configured")
		}
		from = t.others[at]
	}
	switch typ := form.typ(); {
	case from == nil:
		return nil, errors.New("there is no secret to verify with")
	case form.header["alg"] != from.Algorithm:
		return nil, errors.New("another algorithm than the configured one")
	case typ != from.Type && !(from.Type == "" && typ == "JWT"):
		return nil, errors.New("another type than the configured one")
	}
	return from, nil
}

// verify returns nil if a key of the source signed the token.
func (s *source) verify(form jws) error {
	found, err := s.Keys(&jwt.Token{Header: form.header, Method: s.method})
	if err != nil {
		return err
	}
	keys := []any{found}
	if set, ok := found.(jwt.VerificationKeySet); ok {
		keys = keys[:0]
		for _, key := range set.Keys {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		if public, ok := key.(*rsa.PublicKey); ok && public.N.BitLen() < minRSABits {
			return fmt.Errorf("a key of less than %d bits", minRSABits)
		}
		if s.method.Verify(form.signed, form.signature, key) == nil {
			return nil
		}
	}
	return errors.New("a signature by an unknown issuer")
}

// AuthenticateToken returns the content of a token and its key as it is now. The errors
// are those of [Tokens.Parse] and [Keyring.Verify].
func (r *Keyring) AuthenticateToken(ctx context.Context, t *Tokens, text string) (*Key, *Grant, error) {
	grant, err := t.Parse(text)
	if err != nil {
		return nil, nil, err
	}
	key, err := r.VerifyGrant(ctx, grant)
	if err != nil {
		return nil, nil, err
	}
	return key, grant, nil
}

// VerifyGrant returns the key of a grant, if the key still supports it. It is
// [Keyring.Verify] for streams opened by a token.
func (r *Keyring) VerifyGrant(ctx context.Context, grant *Grant) (*Key, error) {
	key, err := r.Verify(ctx, grant.Key)
	if err != nil {
		return nil, err
	}
	if err := grant.allowedBy(key, time.Now()); err != nil {
		return nil, err
	}
	return key, nil
}
