package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/paylogic/pushserver/streams/filter"
)

// tokenClaims is the content of a token.
type tokenClaims struct {
	jwt.RegisteredClaims
	filter.Clause
	Origin string `json:"origin,omitempty"`
	Tag    string `json:"tag,omitempty"` // see [Grant]
}

func (t *Tokens) claimsOf(g *Grant) *tokenClaims {
	return &tokenClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: t.issuer, Audience: jwt.ClaimStrings{t.audience}, Subject: g.Key, ID: g.ID,
			IssuedAt: jwt.NewNumericDate(g.Issued), ExpiresAt: jwt.NewNumericDate(g.Expires),
		},
		Clause: g.Clause, Origin: g.Origin, Tag: g.tag,
	}
}

// readClaims reads the claims of a token whose signature is valid. In our own tokens
// an unknown claim is an error: it may be a restriction.
func (s *source) readClaims(payload string) (*tokenClaims, error) {
	members, err := decodePart(payload)
	if err != nil {
		return nil, err
	}
	c := new(tokenClaims)
	for name, value := range members {
		err := c.setRegistered(name, value)
		if errors.Is(err, errNotRegistered) {
			err = nil
			if s.ours { // another issuer's claims of these names mean something else
				err = c.setClause(name, value)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("read a claim: %w", err)
		}
	}
	return c, nil
}

var errNotRegistered = errors.New("none of those that every token has")

func (c *tokenClaims) setRegistered(name string, value json.RawMessage) (err error) {
	switch name {
	case "iss":
		c.Issuer, err = textOf(value)
	case "sub":
		c.Subject, err = textOf(value)
	case "aud":
		c.Audience, err = audienceOf(value)
	case "jti":
		c.ID, err = textOf(value)
	case "exp":
		c.ExpiresAt, err = seconds(value)
	case "iat":
		c.IssuedAt, err = seconds(value)
	case "nbf":
		c.NotBefore, err = seconds(value)
	default:
		err = errNotRegistered
	}
	return err
}

func (c *tokenClaims) setClause(name string, value json.RawMessage) (err error) {
	switch name {
	case "types":
		err = json.Unmarshal(value, &c.Types)
	case "subjects":
		err = json.Unmarshal(value, &c.Subjects)
	case "filter":
		c.Filter, err = textOf(value)
	case "origin":
		c.Origin, err = textOf(value)
	case "tag":
		c.Tag, err = textOf(value)
	default:
		err = errors.New("one that this program does not know")
	}
	return err
}

// audienceOf reads a string or an array of strings (RFC 7519, 4.1.3).
func audienceOf(value json.RawMessage) (audience []string, err error) {
	if value[0] == '[' {
		return audience, json.Unmarshal(value, &audience)
	}
	one, err := textOf(value)
	return []string{one}, err
}

// seconds reads a time. A JWT may have fractions of a second; our tokens have none.
func seconds(value json.RawMessage) (*jwt.NumericDate, error) {
	const lastOfAYear9999 = 253402300799
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || n < 0 || n > lastOfAYear9999 {
		return nil, errors.New("a time that is not in whole seconds")
	}
	return jwt.NewNumericDate(time.Unix(n, 0)), nil
}

// grant returns the content of the claims if they are valid now.
func (s *source) grant(c *tokenClaims, life time.Duration, now time.Time) (*Grant, error) {
	var reason string
	switch {
	case c.Issuer != s.Name:
		reason = "another issuer"
	case !slices.Contains(c.Audience, s.Audience):
		reason = "another audience"
	case c.ExpiresAt == nil || c.IssuedAt == nil:
		reason = "no time of issue, or no end"
	case c.IssuedAt.After(now.Add(tokenLeeway)), c.NotBefore != nil && c.NotBefore.After(now.Add(tokenLeeway)):
		reason = "not valid yet"
	case !c.ExpiresAt.After(c.IssuedAt.Time) || c.ExpiresAt.Sub(c.IssuedAt.Time) > life:
		reason = "a life that is too long, or none"
	case s.ours && (c.Subject == "" || c.ID == "" || !ValidOrigin(c.Origin)):
		reason = "no key, no id, or no origin"
	case !now.Before(c.ExpiresAt.Time):
		return nil, ErrTokenExpired
	}
	if reason != "" {
		return nil, errors.New(reason)
	}
	grant := &Grant{
		ID: c.ID, Key: s.Key, Issued: c.IssuedAt.UTC(), Expires: c.ExpiresAt.UTC(),
		Clause: c.Clause, Origin: c.Origin, tag: c.Tag,
	}
	if s.ours {
		grant.Key = c.Subject
	}
	return grant, nil
}
