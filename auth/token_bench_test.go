package auth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/streams/filter"
)

// A caller without a secret can take a token apart and put it together again; what
// is taken then is one that was minted.
func FuzzToken(f *testing.F) {
	m := newMintage(f, liveKey, TokenOptions{})
	minted := map[string]bool{}
	for _, asked := range []TokenRequest{{}, {Clause: filter.Clause{Types: []string{"a.*"}, Subjects: []string{"b/**"}, Filter: "data.c > 1"}}} {
		text, _ := m.mint(asked)
		minted[text] = true
		f.Add(text)
	}
	encode := base64.RawURLEncoding.EncodeToString
	f.Add(encode([]byte(`{"alg":"none","typ":"ps-browser+jwt"}`)) + "." + encode([]byte(m.payload(nil))) + ".")
	f.Add("e30.e30.")
	f.Add("..")
	f.Fuzz(func(t *testing.T, text string) {
		grant, err := m.tokens.Parse(text)
		switch {
		case err == nil && !minted[text]:
			t.Fatalf("%q is taken, and was never minted: %+v", text, grant)
		case err != nil && (grant != nil || !errors.Is(err, ErrToken)):
			t.Fatalf("%q: got %+v (%v), want ErrToken", text, grant, err)
		}
	})
}

// A signer with a secret, an older or newer gateway, can sign anything; what is
// taken then keeps the promises of a grant.
func FuzzClaims(f *testing.F) {
	m := newMintage(f, liveKey, TokenOptions{})
	f.Add(goodHeader, m.payload(nil))
	f.Add(`{"alg":"HS256","typ":"ps-browser+jwt","kid":"a"}`, m.payload(map[string]any{"types": []string{"a"}, "exp": 1e300}))
	f.Add(`{"alg":"HS256","typ":"ps-browser+jwt","crit":[]}`, m.payload(map[string]any{"nbf": -1, "aud": []string{"a", "pushserver"}}))
	f.Fuzz(func(t *testing.T, header, payload string) {
		grant, err := m.tokens.Parse(m.forge(header, payload))
		if err != nil {
			return
		}
		now := time.Now()
		switch {
		case grant.Key == "" || grant.ID == "" || !ValidOrigin(grant.Origin):
			t.Fatalf("%s: granted %+v", payload, grant)
		case !grant.Expires.After(now) || grant.Issued.After(now.Add(tokenLeeway)) || grant.Expires.Sub(grant.Issued) > MaxTokenLife:
			t.Fatalf("%s: granted %+v at %v", payload, grant, now)
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(payload), &members); err != nil {
			t.Fatalf("%s is taken, and is no JSON: %v", payload, err)
		}
		maps.DeleteFunc(members, func(name string, _ json.RawMessage) bool {
			return strings.Contains(" iss sub aud jti exp iat nbf types subjects filter origin tag ", " "+name+" ")
		})
		if len(members) > 0 {
			t.Fatalf("%s is taken, with unknown claims", payload)
		}
	})
}

func BenchmarkAuthenticateTokenCached(b *testing.B) {
	benchmarkAuthenticateToken(b, time.Hour)
}

func BenchmarkAuthenticateTokenUncached(b *testing.B) {
	benchmarkAuthenticateToken(b, time.Nanosecond)
}

// The ttl is the keyring's: of a token nothing is cached.
func benchmarkAuthenticateToken(b *testing.B, ttl time.Duration) {
	m := newMintage(b, liveKey, TokenOptions{})
	m.ring = NewKeyring(m.store, KeyringOptions{TTL: ttl})
	text, _ := m.mint(TokenRequest{Clause: filter.Clause{Types: []string{"payment.*"}, Subjects: []string{"order/*"}}})
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := m.ring.AuthenticateToken(b.Context(), m.tokens, text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMint(b *testing.B) {
	m := newMintage(b, liveKey, TokenOptions{})
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := m.tokens.Mint(m.key, TokenRequest{Origin: shop}); err != nil {
			b.Fatal(err)
		}
	}
}

// What a stranger can have us do before we refuse.
func BenchmarkParseWorst(b *testing.B) {
	m := newMintage(b, liveKey, TokenOptions{})
	var members strings.Builder
	for members.Len() < 4_500 {
		members.WriteString(`"kid":"` + strings.Repeat("a", 60) + `",`)
	}
	encode := base64.RawURLEncoding.EncodeToString
	for name, text := range map[string]string{
		"dots":      strings.Repeat(".", 1<<20),
		"header":    encode([]byte(`{"alg":"HS256","typ":"ps-browser+jwt","kid":"`+strings.Repeat("a", 5_900)+`"}`)) + ".e30.AAAA",
		"members":   encode([]byte("{"+members.String()+`"a":1}`)) + ".e30.AAAA",
		"payload":   encode([]byte(goodHeader)) + "." + strings.Repeat("A", 8_000) + ".AAAA",
		"signature": encode([]byte(goodHeader)) + ".e30." + strings.Repeat("A", 8_000),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.tokens.Parse(text); err == nil {
					b.Fatal("taken")
				}
			}
		})
	}
}
