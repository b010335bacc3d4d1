package auth

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"pgregory.net/rapid"

	"github.com/paylogic/pushserver/streams/filter"
)

const shop = "https://shop.example"

// A mintage is a key, and what mints tokens from it.
type mintage struct {
	testing.TB
	store  *MemoryStore
	ring   *Keyring
	key    *Key
	tokens *Tokens
	secret SigningSecret // that signs
}

func newMintage(t testing.TB, description Key, o TokenOptions) *mintage {
	t.Helper()
	m := &mintage{TB: t, store: &MemoryStore{}, secret: NewSigningSecret()}
	_, m.key = issue(t, m.store, description)
	m.ring = NewKeyring(m.store, KeyringOptions{})
	o.Secrets = append([]SigningSecret{m.secret}, o.Secrets...)
	var err error
	if m.tokens, err = NewTokens(o); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *mintage) mint(asked TokenRequest) (string, *Grant) {
	m.Helper()
	if asked.Origin == "" {
		asked.Origin = shop
	}
	token, grant, err := m.tokens.Mint(m.key, asked)
	if err != nil {
		m.Fatal(err)
	}
	return token.Reveal(), grant
}

// wants reads a token and asks for its key.
func (m *mintage) wants(name, text string, want error) {
	m.Helper()
	key, grant, err := m.ring.AuthenticateToken(context.Background(), m.tokens, text)
	if !errors.Is(err, want) || (err == nil) != (key != nil && grant != nil) {
		m.Errorf("%s: got %+v of %+v (%v), want %v", name, grant, key, err, want)
	}
}

// forge signs any header and any payload as we do.
func (m *mintage) forge(header, payload string) string {
	return signed(header, payload, m.secret.text)
}

func signed(header, payload, secret string) string {
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(header)) + "." + encode([]byte(payload))
	signature, err := jwt.SigningMethodHS256.Sign(text, []byte(secret))
	if err != nil {
		panic(err)
	}
	return text + "." + encode(signature)
}

const goodHeader = `{"alg":"HS256","typ":"ps-browser+jwt"}`

// payload writes the claims of a good token, with these changed; nil leaves one
// out, and json.RawMessage goes in as it is.
func (m *mintage) payload(changed map[string]any) string {
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": "pushserver", "aud": "pushserver", "sub": m.key.ID, "jti": "tok_1",
		"iat": now, "exp": now + 600, "origin": shop,
	}
	maps.Copy(claims, changed)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	text, err := json.Marshal(claims)
	if err != nil {
		m.Fatal(err)
	}
	return string(text)
}

func TestTokenGrantsWhatItWasMintedFor(t *testing.T) {
	m := newMintage(t, Key{Kind: Live, Merchant: "acme", Clause: filter.Clause{Types: []string{"payment.*"}}}, TokenOptions{})
	asked := TokenRequest{
		Clause: filter.Clause{Types: []string{"payment.failed"}, Subjects: []string{"order/*", "event/42"}, Filter: `data.amount > 1 && "é<" != ""`},
		Origin: "http://localhost:3000", Life: time.Hour,
	}
	token, want, err := m.tokens.Mint(m.key, asked)
	if err != nil {
		t.Fatal(err)
	}
	key, got, err := m.ring.AuthenticateToken(t.Context(), m.tokens, token.Reveal())
	if err != nil || !reflect.DeepEqual(got, want) || key.ID != m.key.ID {
		t.Fatalf("got %+v of %+v (%v), want %+v of %s", got, key, err, want, m.key.ID)
	}
	if got.Key != m.key.ID || got.Origin != asked.Origin || got.Filter != asked.Filter || !slices.Equal(got.Types, asked.Types) ||
		!slices.Equal(got.Subjects, asked.Subjects) || got.Expires.Sub(got.Issued) != time.Hour {
		t.Errorf("granted %+v, want what was asked for: %+v", got, asked)
	}
}

func TestTokenOfEachListedSecretIsTakenAndTheFirstSigns(t *testing.T) {
	old, other := NewSigningSecret(), NewSigningSecret()
	m := newMintage(t, liveKey, TokenOptions{Secrets: []SigningSecret{old}})
	before, err := NewTokens(TokenOptions{Secrets: []SigningSecret{old}})
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := before.Mint(m.key, TokenRequest{Origin: shop})
	if err != nil {
		t.Fatal(err)
	}
	m.wants("of the second secret", token.Reveal(), nil)
	text, _ := m.mint(TokenRequest{})
	if _, err := before.Parse(text); !errors.Is(err, ErrToken) {
		t.Errorf("of a secret that is not listed: got %v, want ErrToken", err)
	}
	m.wants("without the name of its secret", signed(goodHeader, m.payload(nil), old.text), nil)
	m.wants("with the name of another secret", signed(
		`{"alg":"HS256","typ":"ps-browser+jwt","kid":"`+m.secret.id()+`"}`, m.payload(nil), old.text), ErrToken)
	m.wants("of no listed secret", signed(goodHeader, m.payload(nil), other.text), ErrToken)
}

func TestTokenIsRefusedAtMintingIfItIsBesideItsKey(t *testing.T) {
	live := Key{Kind: Live, Merchant: "acme", Clause: filter.Clause{Types: []string{"payment.*", "seat.status"}}, Origins: []string{shop}}
	long := func(n int) []string { return slices.Repeat([]string{strings.Repeat("a", n)}, filter.MaxSubjects) }
	tests := []struct {
		name  string
		asked TokenRequest
		field string // empty: it is minted
	}{
		{"all of it", TokenRequest{Origin: shop}, ""},
		{"a type of its own", TokenRequest{Origin: shop, Clause: filter.Clause{Types: []string{"seat.status"}}}, ""},
		{"more than it has", TokenRequest{Origin: shop, Clause: filter.Clause{Types: []string{"seat.*", "ticket.*"}}}, ""}, // and gets seat.status
		{"other types", TokenRequest{Origin: shop, Clause: filter.Clause{Types: []string{"ticket.*", "seat"}}}, "types"},
		{"no type", TokenRequest{Origin: shop, Clause: filter.Clause{Types: []string{""}}}, "types"},
		{"broken text", TokenRequest{Origin: shop, Clause: filter.Clause{Subjects: []string{"a\x00"}}}, "subjects"},
		{"a long filter", TokenRequest{Origin: shop, Clause: filter.Clause{Filter: strings.Repeat("a", filter.MaxExpr+1)}}, "filter"},
		{"no origin", TokenRequest{}, "origin"},
		{"another origin", TokenRequest{Origin: "https://evil.example"}, "origin"},
		{"a path", TokenRequest{Origin: shop + "/"}, "origin"},
		{"a life below zero", TokenRequest{Origin: shop, Life: -1}, "ttl"},
		{"no time at all", TokenRequest{Origin: shop, Life: time.Millisecond}, "ttl"},
		{"more than a day", TokenRequest{Origin: shop, Life: MaxTokenLife + 1}, "ttl"},
		{"too much for a URL", TokenRequest{Origin: shop, Clause: filter.Clause{Subjects: long(filter.MaxPattern)}}, "subjects"},
	}
	m := newMintage(t, live, TokenOptions{})
	for _, test := range tests {
		token, grant, err := m.tokens.Mint(m.key, test.asked)
		var refused *FieldError
		switch {
		case test.field == "" && err != nil:
			t.Errorf("%s: refused: %v", test.name, err)
		case test.field != "" && (!errors.As(err, &refused) || refused.Field != test.field || grant != nil || token != Token{}):
			t.Errorf("%s: got %v, want a refusal of %s", test.name, err, test.field)
		}
	}
	for name, key := range map[string]Key{
		"a publisher's": {Kind: Pub}, "an admin's": {Kind: Adm},
		"a revoked": {Kind: Live, Revoked: time.Now()}, "an expired": {Kind: Live, Expires: time.Now()},
	} {
		if _, _, err := m.tokens.Mint(&key, TokenRequest{Origin: shop}); err == nil {
			t.Errorf("%s key mints tokens", name)
		}
	}
}

// naive says what a list of patterns stands for.
func naive(patterns []string, typ string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		return p == typ || strings.HasSuffix(p, "*") && strings.HasPrefix(typ, p[:len(p)-1])
	})
}

// What cannot overlap is refused, what can is not, and whatever is minted ends
// with its key, names an origin of it, and reads back as it was granted.
func TestTokenIsNeverWiderThanItsKey(t *testing.T) {
	var types []string // all short ones: enough to tell any two short patterns apart
	for _, a := range []string{"", "a", "b", "aa", "ab", "ba", "bb", "aaa", "aba", "bab"} {
		types = append(types, a, a+"x")
	}
	patterns := rapid.SliceOfN(rapid.StringMatching(`[ab]{1,2}\*?|\*`), 0, 3)
	origins := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{shop, "http://a", "http://b"}), 0, 2, rapid.ID[string])
	rapid.Check(t, func(rt *rapid.T) {
		description := Key{Kind: Live, Merchant: "acme", Clause: filter.Clause{Types: patterns.Draw(rt, "types")}, Origins: origins.Draw(rt, "origins")}
		if rapid.Bool().Draw(rt, "expires") {
			description.Expires = time.Now().Add(time.Duration(rapid.IntRange(60, 7200).Draw(rt, "in")) * time.Second)
		}
		m := newMintage(t, description, TokenOptions{})
		asked := TokenRequest{
			Clause: filter.Clause{Types: patterns.Draw(rt, "asked")}, Origin: rapid.SampledFrom([]string{shop, "http://a"}).Draw(rt, "origin"),
			Life: time.Duration(rapid.IntRange(60, 3600).Draw(rt, "life")) * time.Second,
		}
		overlap := slices.ContainsFunc(types, func(typ string) bool {
			return naive(m.key.Types, typ) && naive(asked.Types, typ)
		})
		token, grant, err := m.tokens.Mint(m.key, asked)
		if want := overlap && m.key.AllowsOrigin(asked.Origin); want != (err == nil) {
			rt.Fatalf("%+v from %+v is minted: %v, want %t", asked, m.key, err, want)
		}
		if err != nil {
			return
		}
		key, got, err := m.ring.AuthenticateToken(context.Background(), m.tokens, token.Reveal())
		if len(asked.Types) == 0 {
			grant.Types = nil // as it is read
		}
		if err != nil || !reflect.DeepEqual(got, grant) {
			rt.Fatalf("read %+v (%v), want %+v", got, err, grant)
		}
		switch {
		case !slices.Equal(got.Types, asked.Types) || key.ID != got.Key || !slices.Equal(key.Types, m.key.Types):
			rt.Fatalf("granted %+v of %+v, want both clauses, to be applied together", got, key)
		case !key.Expires.IsZero() && got.Expires.After(key.Expires):
			rt.Fatalf("the token ends at %v, after its key: %v", got.Expires, key.Expires)
		case !key.AllowsOrigin(got.Origin) || got.Expires.Sub(got.Issued) > asked.Life:
			rt.Fatalf("granted %+v, more than %+v of %+v", got, asked, key)
		}
	})
}

// What the key is now decides: at each use, not at the minting.
func TestTokenFollowsItsKey(t *testing.T) {
	tests := []struct {
		name string
		then func(m *mintage) error
		want error
	}{
		{"nothing", func(*mintage) error { return nil }, nil},
		{"narrower types", func(m *mintage) error {
			_, _, err := Edit(m.Context(), m.store, m.key.ID, 0, func(k *Key) { k.Types = []string{"a"} })
			return err
		}, nil},
		{"its origin listed", func(m *mintage) error {
			_, _, err := Edit(m.Context(), m.store, m.key.ID, 0, func(k *Key) { k.Origins = []string{"http://a", shop} })
			return err
		}, nil},
		{"other origins", func(m *mintage) error {
			_, _, err := Edit(m.Context(), m.store, m.key.ID, 0, func(k *Key) { k.Origins = []string{"http://a"} })
			return err
		}, ErrToken},
		{"a revocation", func(m *mintage) error { _, err := m.store.Revoke(m.Context(), m.key.ID); return err }, ErrRevoked},
		{"a rotation", func(m *mintage) error {
			_, _, err := Rotate(m.Context(), m.store, m.key.ID, Rotation{Overlap: time.Millisecond})
			return err
		}, nil},
		{"a rotation because others know the secret", func(m *mintage) error {
			_, _, err := Rotate(m.Context(), m.store, m.key.ID, Rotation{})
			return err
		}, ErrToken},
	}
	for _, test := range tests {
		m := newMintage(t, liveKey, TokenOptions{})
		text, _ := m.mint(TokenRequest{})
		m.wants("before "+test.name, text, nil)
		if err := test.then(m); err != nil {
			t.Fatal(err)
		}
		m.ring.Reset()
		m.wants("after "+test.name, text, test.want)
	}
}

// A stolen signing secret makes no admin.
func TestTokenOfOursNeverStandsForAnAdminOrAPublisher(t *testing.T) {
	m := newMintage(t, liveKey, TokenOptions{})
	for _, kind := range []Kind{Adm, Pub} {
		_, key := issue(t, m.store, Key{Kind: kind})
		m.wants("of kind "+string(kind), m.forge(goodHeader, m.payload(map[string]any{"sub": key.ID})), ErrToken)
	}
}

func TestTokenShowsItselfOnlyWhenAsked(t *testing.T) {
	m := newMintage(t, liveKey, TokenOptions{})
	token, _, err := m.tokens.Mint(m.key, TokenRequest{Origin: shop})
	if err != nil {
		t.Fatal(err)
	}
	_, payload, _ := strings.Cut(token.Reveal(), ".")
	for name, value := range map[string]struct {
		shown  any
		hidden string
	}{
		"token":  {token, payload},
		"secret": {m.secret, m.secret.text},
	} {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", value.shown)
			fmt.Fprintf(&out, verb+"\n", []any{value.shown, &value.shown})
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("seen", "value", value.shown)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("seen", "value", value.shown)
		text, err := json.Marshal(map[string]any{"value": value.shown})
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
		for _, form := range []string{value.hidden, fmt.Sprintf("%x", value.hidden)} {
			if strings.Contains(out.String(), form) {
				t.Errorf("the %s shows in:\n%s", name, out.String())
			}
		}
		if !bytes.Contains(text, []byte(redacted)) {
			t.Errorf("the %s is %s in JSON, want %s", name, text, redacted)
		}
	}
}

func TestAttack27TokenEndsWithItsKeyAndAtItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMintage(t, liveKey, TokenOptions{})
		text, grant := m.mint(TokenRequest{Life: time.Hour})
		time.Sleep(time.Until(grant.Expires) - time.Nanosecond)
		m.wants("a moment before its end", text, nil)
		time.Sleep(time.Nanosecond)
		m.wants("at its end", text, ErrTokenExpired)
		if _, err := m.ring.VerifyGrant(t.Context(), grant); !errors.Is(err, ErrTokenExpired) {
			t.Errorf("an open stream, at its end: got %v, want ErrTokenExpired", err)
		}

		text, grant = m.mint(TokenRequest{Life: time.Hour})
		m.wants("before the revocation", text, nil)
		key, err := m.store.Revoke(t.Context(), m.key.ID)
		if err != nil {
			t.Fatal(err)
		}
		m.ring.Apply(NewChange(KeyRevoked, key, CLI))
		m.wants("after the notice", text, ErrRevoked)
		if _, err := m.ring.VerifyGrant(t.Context(), grant); !errors.Is(err, ErrRevoked) {
			t.Errorf("an open stream, after the notice: got %v, want ErrRevoked", err)
		}
	})
}
