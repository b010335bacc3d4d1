package auth

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/paylogic/pushserver/internal/base62"
	"github.com/paylogic/pushserver/streams/filter"
)

// A TokenRequest describes the token that a caller wants.
type TokenRequest struct {
	filter.Clause               // zero: no narrower than the key
	Origin        string        // of the pages that the token is for
	Life          time.Duration // zero: as long as tokens may live
}

// Mint makes a token from a key, and returns what it grants. The token ends no later
// than its key.
//
// A request that the key does not allow is refused with a [*FieldError] for "types",
// "subjects", "filter", "origin" or "ttl". Only types are compared with those of the
// key: subjects or filter may contradict the key's, and such a token sees nothing.
func (t *Tokens) Mint(key *Key, asked TokenRequest) (Token, *Grant, error) {
	if len(t.secrets) == 0 {
		return Token{}, nil, errors.New("auth: no secret to sign tokens with")
	}
	now := time.Now().UTC().Truncate(time.Second)
	if err := key.Usable(now); err != nil {
		return Token{}, nil, fmt.Errorf("%s: %w", key.ID, err)
	}
	if err := t.check(key, asked); err != nil {
		return Token{}, nil, err
	}
	grant := &Grant{
		ID: "tok_" + base62.Random(16), Key: key.ID,
		Clause: asked.Clause, Origin: asked.Origin,
		Issued: now, Expires: now.Add(cmp.Or(asked.Life, t.life).Truncate(time.Second)),
		tag: tagOf(key.secret),
	}
	if !key.Expires.IsZero() && key.Expires.Before(grant.Expires) {
		grant.Expires = key.Expires.Truncate(time.Second)
	}
	if !grant.Expires.After(now) {
		return Token{}, nil, fmt.Errorf("%s has less than a second left: %w", key.ID, ErrExpired)
	}

	signed := jwt.NewWithClaims(jwt.SigningMethodHS256, t.claimsOf(grant))
	signed.Header["typ"], signed.Header["kid"] = tokenType, t.secrets[0].id
	text, err := signed.SignedString(t.secrets[0].key)
	if err != nil {
		return Token{}, nil, fmt.Errorf("sign a token of %s: %w", key.ID, err)
	}
	if len(text) > MaxTokenLen {
		return Token{}, nil, tooMuch(asked)
	}
	return Token{text}, grant, nil
}

func (t *Tokens) check(key *Key, asked TokenRequest) error {
	switch {
	case !key.Kind.Reads():
		return errors.New("auth: only live and test keys have tokens for pages")
	case !ValidOrigin(asked.Origin):
		return badOrigin("origin")
	case !key.AllowsOrigin(asked.Origin):
		return &FieldError{"origin", "must be among the key's own"}
	case asked.Life != 0 && (asked.Life < time.Second || asked.Life > t.life):
		return &FieldError{"ttl", "must be from 1s to " + t.life.String()}
	case !filter.Overlap(asked.Types, key.Types):
		return &FieldError{"types", "must be among the key's own"}
	}
	if refused := checkClause(asked.Clause); refused != nil {
		return refused
	}
	return nil
}

// tooMuch names the longest part of a request.
func tooMuch(asked TokenRequest) *FieldError {
	field, most := "filter", len(asked.Filter)
	if n := len(strings.Join(asked.Types, "")); n > most {
		field, most = "types", n
	}
	if n := len(strings.Join(asked.Subjects, "")); n > most {
		field = "subjects"
	}
	return &FieldError{field, "must be shorter: the token would be too long for a URL"}
}
