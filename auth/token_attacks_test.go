package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

func TestAttack14TokenWithoutASignature(t *testing.T) {
	m := newMintage(t, liveKey, TokenOptions{})
	encode := base64.RawURLEncoding.EncodeToString
	payload := encode([]byte(m.payload(nil)))
	m.wants("good", m.forge(goodHeader, m.payload(nil)), nil)
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "", "HS384", "HS512", "RS256", "ES256", "hs256", "HS256 "} {
		header := encode([]byte(`{"alg":"` + alg + `","typ":"ps-browser+jwt"}`))
		m.wants(alg+" without a signature", header+"."+payload+".", ErrToken)
		m.wants(alg+" with ours", m.forge(`{"alg":"`+alg+`","typ":"ps-browser+jwt"}`, m.payload(nil)), ErrToken)
	}
	m.wants("an empty signature", encode([]byte(goodHeader))+"."+payload+".", ErrToken)
	m.wants("no algorithm", m.forge(`{"typ":"ps-browser+jwt"}`, m.payload(nil)), ErrToken)
	text := m.forge(goodHeader, m.payload(nil))
	m.wants("a short signature", text[:len(text)-4], ErrToken)
}

// An issuer of ours, and what signs in its name.
type issuerBench struct {
	*mintage
	name   string
	public any
	sign   func(text string) []byte
}

func (b *issuerBench) token(header, payload string) string {
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(header)) + "." + encode([]byte(payload))
	return text + "." + encode(b.sign(text))
}

func (b *issuerBench) payload(changed map[string]any) string {
	claims := map[string]any{"iss": b.name, "aud": "gateway", "sub": "somebody", "jti": nil, "origin": nil}
	for name, value := range changed {
		claims[name] = value
	}
	return b.mintage.payload(claims)
}

// newIssuers returns one issuer for each algorithm, their public keys in a
// JWKS as configuration would fetch it.
func newIssuers(t *testing.T) map[string]*issuerBench {
	t.Helper()
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	factors, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	point, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	public, err := curve.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	jwks := map[string]map[string]string{
		"ES256": {"kty": "EC", "crv": "P-256", "x": encode(public[1:33]), "y": encode(public[33:])},
		"RS256": {"kty": "RSA", "n": encode(factors.N.Bytes()), "e": "AQAB"},
		"EdDSA": {"kty": "OKP", "crv": "Ed25519", "x": encode(point)},
	}
	signers := map[string]struct{ public, private any }{
		"ES256": {&curve.PublicKey, curve}, "RS256": {&factors.PublicKey, factors}, "EdDSA": {point, edwards},
	}
	m := newMintage(t, liveKey, TokenOptions{})
	o := TokenOptions{Secrets: []SigningSecret{m.secret}}
	benches := map[string]*issuerBench{}
	for alg, jwk := range jwks {
		jwk["kid"], jwk["alg"], jwk["use"] = "k1", alg, "sig"
		text, err := json.Marshal(map[string]any{"keys": []any{jwk}})
		if err != nil {
			t.Fatal(err)
		}
		keys, err := keyfunc.NewJWKSetJSON(text)
		if err != nil {
			t.Fatal(err)
		}
		b := &issuerBench{mintage: m, name: "https://" + strings.ToLower(alg) + ".example", public: signers[alg].public}
		b.sign = func(text string) []byte {
			signature, err := jwt.GetSigningMethod(alg).Sign(text, signers[alg].private)
			if err != nil {
				t.Fatal(err)
			}
			return signature
		}
		o.Issuers = append(o.Issuers, Issuer{Name: b.name, Audience: "gateway", Algorithm: alg, Key: m.key.ID, Keys: keys.Keyfunc})
		benches[alg] = b
	}
	if m.tokens, err = NewTokens(o); err != nil {
		t.Fatal(err)
	}
	return benches
}

func header(alg string) string { return `{"alg":"` + alg + `","typ":"JWT","kid":"k1"}` }

func TestTokenOfAConfiguredIssuerStandsForTheConfiguredKey(t *testing.T) {
	strangers := newIssuers(t) // with keys of the same names
	for alg, b := range newIssuers(t) {
		text := b.token(header(alg), b.payload(map[string]any{
			"sub": "key_other", "merchant": "globex", "tenant": []string{"globex"}, "types": "of its own", "origin": 1, "tag": nil,
		}))
		key, grant, err := b.ring.AuthenticateToken(t.Context(), b.tokens, text)
		if err != nil || key.ID != b.key.ID || grant.Key != b.key.ID || key.Merchant != "acme" || grant.Origin != "" || grant.Types != nil {
			t.Errorf("%s: got %+v of %+v (%v), want the configured key and no clause", alg, grant, key, err)
		}
		b.wants("without a type", b.token(`{"alg":"`+alg+`","kid":"k1"}`, b.payload(nil)), nil)
		b.wants("of another type", b.token(`{"alg":"`+alg+`","typ":"at+jwt","kid":"k1"}`, b.payload(nil)), ErrToken)
		b.wants("of another issuer", b.token(header(alg), b.payload(map[string]any{"iss": "https://evil.example"})), ErrToken)
		b.wants("in our own name", b.token(header(alg), b.payload(map[string]any{"iss": "pushserver"})), ErrToken)
		b.wants("for another audience", b.token(header(alg), b.payload(map[string]any{"aud": "pushserver"})), ErrToken)
		b.wants("with no end", b.token(header(alg), b.payload(map[string]any{"exp": nil})), ErrToken)
		b.wants("as one of ours", b.token(`{"alg":"`+alg+`","typ":"ps-browser+jwt"}`, b.mintage.payload(nil)), ErrToken)
		for other, o := range strangers {
			b.wants("signed by a stranger with "+other, o.token(header(alg), b.payload(nil)), ErrToken)
		}
	}
}

func TestAttack15PublicKeyAsASecret(t *testing.T) {
	for alg, b := range newIssuers(t) {
		der, err := x509.MarshalPKIXPublicKey(b.public)
		if err != nil {
			t.Fatal(err)
		}
		text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		for _, secret := range []string{text, strings.TrimSpace(text), string(der)} {
			b.wants(alg+" as HS256", signed(header("HS256"), b.payload(nil), secret), ErrToken)
			b.wants(alg+" as HS256 by name", signed(header(alg), b.payload(nil), secret), ErrToken)
			b.wants(alg+" as our secret", signed(goodHeader, b.mintage.payload(nil), secret), ErrToken)
		}
		b.wants("our secret in the name of "+alg, b.forge(header("HS256"), b.payload(nil)), ErrToken)
	}
}

func TestAttack17TokenOfAnotherTypeOfTheSameIssuer(t *testing.T) {
	m := newMintage(t, liveKey, TokenOptions{})
	for _, typ := range []string{`"at+jwt"`, `"JWT"`, `""`, `"ps-browser+JWT"`, `"application/ps-browser+jwt"`, `null`, `1`, `["ps-browser+jwt"]`} {
		m.wants("of type "+typ, m.forge(`{"alg":"HS256","typ":`+typ+`}`, m.payload(nil)), ErrToken)
	}
	m.wants("of no type", m.forge(`{"alg":"HS256"}`, m.payload(nil)), ErrToken)
}

func TestAttack18TokenThatLivesForever(t *testing.T) {
	m := newMintage(t, liveKey, TokenOptions{})
	now := time.Now().Unix()
	raw := func(text string) any { return json.RawMessage(text) }
	for name, exp := range map[string]any{
		"no end": nil, "null": raw("null"), "text": "2030-01-01", "a number as text": raw(`"1999999999"`),
		"1e300": raw("1e300"), "1e9": raw("1e9"), "milliseconds": raw("9999999999999"), "-1": raw("-1"),
		"the largest number": raw("9223372036854775807"), "a larger one": raw("92233720368547758070"),
		"a year": now + 365*86400, "a list": []int64{now + 600}, "an object": map[string]int64{"a": now + 600}, "true": true,
	} {
		m.wants("its end is "+name, m.forge(goodHeader, m.payload(map[string]any{"exp": exp})), ErrToken)
	}
	m.wants("a day", m.forge(goodHeader, m.payload(map[string]any{"exp": now + 86400})), nil)
	m.wants("a day and a second", m.forge(goodHeader, m.payload(map[string]any{"iat": now - 1, "exp": now + 86400})), ErrToken)
	m.wants("an end before its beginning", m.forge(goodHeader, m.payload(map[string]any{"exp": now - 1})), ErrToken)
	m.wants("no beginning", m.forge(goodHeader, m.payload(map[string]any{"iat": nil})), ErrToken)
	m.wants("in the past", m.forge(goodHeader, m.payload(map[string]any{"iat": now - 600, "exp": now})), ErrTokenExpired)
	for _, claim := range []string{"jti", "sub", "origin", "iss", "aud"} {
		m.wants("without "+claim, m.forge(goodHeader, m.payload(map[string]any{claim: nil})), ErrToken)
	}
	m.wants("of a key that is not there", m.forge(goodHeader, m.payload(map[string]any{"sub": "key_none"})), ErrUnknown)
	m.wants("with a restriction to come", m.forge(goodHeader, m.payload(map[string]any{"until_position": "1-0"})), ErrToken)
	short := newMintage(t, liveKey, TokenOptions{MaxLife: time.Minute})
	short.wants("longer than configured", short.forge(goodHeader, short.payload(map[string]any{"exp": now + 62})), ErrToken)
}

func TestAttack20TokenFromTheFuture(t *testing.T) {
	m := newMintage(t, liveKey, TokenOptions{})
	now := time.Now().Unix()
	for _, claim := range []string{"iat", "nbf"} {
		m.wants(claim+" in an hour", m.forge(goodHeader, m.payload(map[string]any{claim: now + 3600, "exp": now + 7200})), ErrToken)
		m.wants(claim+" in 40 s", m.forge(goodHeader, m.payload(map[string]any{claim: now + 40})), ErrToken)
		m.wants(claim+" in 20 s", m.forge(goodHeader, m.payload(map[string]any{claim: now + 20})), nil)
	}
}

func TestAttack21TokenForAnotherAudience(t *testing.T) {
	m := newMintage(t, liveKey, TokenOptions{})
	for _, test := range []struct {
		aud  any
		want error
	}{
		{"pushserver", nil},
		{[]string{"other", "pushserver"}, nil},
		{"other", ErrToken},
		{[]string{"other"}, ErrToken},
		{[]string{}, ErrToken},
		{"Pushserver", ErrToken},
		{[]any{"pushserver", 1}, ErrToken},
		{map[string]bool{"pushserver": true}, ErrToken},
		{nil, ErrToken},
	} {
		text := m.payload(map[string]any{"aud": test.aud})
		m.wants(text, m.forge(goodHeader, text), test.want)
	}
	m.wants("of another issuer", m.forge(goodHeader, m.payload(map[string]any{"iss": "other"})), ErrToken)
}

func TestAttack22NothingThatATokenNamesIsFetched(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	visits := make(chan string)
	go func() {
		defer close(visits)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			visits <- conn.RemoteAddr().String()
			_ = conn.Close()
		}
	}()
	m := newMintage(t, liveKey, TokenOptions{})
	issuers := newIssuers(t)
	url := `"http://` + listener.Addr().String() + `/keys"`
	for name, member := range map[string]string{
		"jku": url, "x5u": url, "jwk": `{"kty":"oct","k":"AAAA","x5u":` + url + `}`, "x5c": `["MIIB"]`, "x5t": `"AAAA"`,
		"kid": `"http://` + listener.Addr().String() + `/../../etc/passwd"`, "crit": `["exp"]`, "b64": "false", "zip": `"DEF"`, "cty": `"JWT"`, "alg ": `"HS256"`,
	} {
		rest := `,"` + name + `":` + member + `}`
		m.wants(name, m.forge(`{"alg":"HS256","typ":"ps-browser+jwt"`+rest, m.payload(nil)), ErrToken)
		for alg, b := range issuers {
			b.wants(name+" of an issuer", b.token(`{"alg":"`+alg+`","typ":"JWT"`+rest, b.payload(nil)), ErrToken)
		}
	}
	m.wants("an issuer that is a URL", m.forge(header("HS256"), m.payload(map[string]any{"iss": "http://" + listener.Addr().String()})), ErrToken)
	_ = listener.Close()
	for visitor := range visits {
		t.Errorf("%s came to fetch a key", visitor)
	}
}

func TestAttack24TokenThatIsLargeOrDeep(t *testing.T) {
	m := newMintage(t, liveKey, TokenOptions{})
	encode := base64.RawURLEncoding.EncodeToString
	stranger := func(payload string) string { return signed(goodHeader, payload, NewSigningSecret().text) }
	nested := strings.Repeat("[", 3_000) + strings.Repeat("]", 3_000)
	for name, text := range map[string]string{
		"a megabyte of dots":      strings.Repeat(".", 1<<20),
		"a header of 8 KiB":       encode([]byte(`{"alg":"HS256","typ":"ps-browser+jwt","kid":"`+strings.Repeat("a", 6_000)+`"}`)) + ".e30.AAAA",
		"a deep header":           encode([]byte(`{"alg":`+nested[1_000:5_000]+`}`)) + ".e30.AAAA",
		"a deep payload":          stranger(m.payload(map[string]any{"aud": json.RawMessage(nested[1_000:5_000])})),
		"many members":            m.forge("{"+manyMembers(700)+`"b":1}`, "{}"),
		"brackets alone":          encode([]byte(header("ES256"))) + "." + strings.Repeat("W1tb", 1_900) + ".AAAA", // [[[
		"many claims":             stranger("{" + manyMembers(700) + `"b":1}`),
		"many audiences":          stranger(`{"aud":[` + strings.Repeat(`"",`, 1_900) + `""]}`),
		"many types":              stranger(`{"types":[` + strings.Repeat(`"",`, 1_900) + `""]}`),
		"five parts":              strings.Join([]string{encode([]byte(`{"alg":"dir","enc":"A256GCM","zip":"DEF"}`)), "", "AAAA", strings.Repeat("A", 1_000), "AAAA"}, "."),
		"five parts, too long":    strings.Repeat("A", 1<<20) + strings.Repeat(".A", 4),
		"four parts":              m.forge(goodHeader, m.payload(nil)) + ".AAAA",
		"two parts":               "e30.e30",
		"one part":                "e30",
		"nothing":                 "",
		"dots":                    "..",
		"a byte more than passes": strings.Repeat("A", MaxTokenLen+1),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := m.tokens.Parse(text)
		runtime.ReadMemStats(&after)
		if allocated := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, ErrToken) || allocated > 100<<10 {
			t.Errorf("%s: got %v for %d bytes, want ErrToken for 100 KiB at most", name, err, allocated)
		}
	}
}

func manyMembers(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, `"%x":1,`, i)
	}
	return text.String()
}

func TestAttack25SignatureOfAnotherForm(t *testing.T) {
	b := newIssuers(t)["ES256"]
	text := b.token(header("ES256"), b.payload(nil))
	unsigned, signature := text[:strings.LastIndexByte(text, '.')+1], b.sign(text[:strings.LastIndexByte(text, '.')])
	encode := base64.RawURLEncoding.EncodeToString
	b.wants("good", unsigned+encode(signature), nil)
	b.wants("r and s are 0", unsigned+encode(make([]byte, 64)), ErrToken)
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	n := elliptic.P256().Params().N
	b.wants("r and s are n", unsigned+encode(append(n.Bytes(), n.Bytes()...)), ErrToken)
	der := append([]byte{0x30, 0x44, 0x02, 0x20}, signature[:32]...)
	der = append(append(der, 0x02, 0x20), signature[32:]...)
	b.wants("DER", unsigned+encode(der), ErrToken)

	// The other s is as good, by the mathematics, and names the same caller.
	other := append(r.FillBytes(make([]byte, 32)), new(big.Int).Sub(n, s).FillBytes(make([]byte, 32))...)
	key, grant, err := b.ring.AuthenticateToken(t.Context(), b.tokens, unsigned+encode(other))
	if err == nil && (key.ID != b.key.ID || grant.Key != b.key.ID) || err != nil && !errors.Is(err, ErrToken) {
		t.Errorf("the other s: got %+v of %+v (%v), want the same identity or ErrToken", grant, key, err)
	}
}

func TestAttack26TokenInAnotherEncoding(t *testing.T) {
	m := newMintage(t, liveKey, TokenOptions{})
	text := m.forge(goodHeader, m.payload(nil))
	parts := strings.Split(text, ".")
	m.wants("good", text, nil)
	for i := range parts {
		with := func(part string) string {
			changed := append([]string(nil), parts...)
			changed[i] = part
			return strings.Join(changed, ".")
		}
		for name, part := range map[string]string{
			"padding":          parts[i] + strings.Repeat("=", (4-len(parts[i])%4)%4+1),
			"a line feed":      parts[i][:4] + "\n" + parts[i][4:],
			"a line feed last": parts[i] + "\n",
			"a return":         "\r" + parts[i],
			"a space":          parts[i] + " ",
			"a NUL":            parts[i] + "\x00",
			"a plus":           "+" + parts[i][1:],
			"one more":         parts[i] + "A",
		} {
			m.wants(name, with(part), ErrToken)
		}
		// The last character of a part holds 2 or 4 bits that stand for nothing.
		if spare := map[int]int{2: 16, 3: 4}[len(parts[i])%4]; spare > 0 {
			const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
			last := strings.IndexByte(digits, parts[i][len(parts[i])-1])
			for bit := 1; bit < spare; bit++ {
				m.wants("a trailing bit", with(parts[i][:len(parts[i])-1]+string(digits[last|bit])), ErrToken)
			}
		}
	}
	twice := strings.TrimSuffix(m.payload(nil), "}")
	for name, payload := range map[string]string{
		"a claim twice":              twice + `,"exp":4102444800}`,
		"a claim twice, spelled out": twice + `,"\u0065xp":4102444800}`,
		"a claim in upper case":      twice + `,"EXP":4102444800}`,
		"a second object":            m.payload(nil) + "{}",
		"a list":                     "[" + m.payload(nil) + "]",
		"null":                       "null",
		"nothing":                    "",
		"broken text":                twice + `,"filter":"` + "\xff" + `"}`,
		"a mark of byte order":       "\ufeff" + m.payload(nil),
	} {
		m.wants(name, m.forge(goodHeader, payload), ErrToken)
	}
	for _, header := range []string{
		`{"alg":"none","alg":"HS256","typ":"ps-browser+jwt"}`, `{"alg":"HS256","typ":"ps-browser+jwt","typ":"JWT"}`,
		`{"ALG":"HS256","typ":"ps-browser+jwt"}`, `{"alg":"HS256","typ":"ps-browser+jwt",}`, goodHeader + "x", "null", "[]", "",
	} {
		m.wants(header, m.forge(header, m.payload(nil)), ErrToken)
	}
}
