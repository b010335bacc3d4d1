package auth

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const strong = "q3T0mV8zKc1uYp5wRj7nXe2sLb9dGh4f"

// writeSecret writes a file that its owner alone may read.
func writeSecret(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSecretsAreReadInTheirOrder(t *testing.T) {
	other := NewSigningSecret()
	for _, text := range []string{strong, strong + "\n", "\n " + strong + "\r\n\n"} {
		secrets, err := LoadSigningSecrets(writeSecret(t, text, 0o600))
		if err != nil || len(secrets) != 1 || secrets[0].text != strong {
			t.Errorf("%q: got %d secrets (%v), want the one", text, len(secrets), err)
		}
	}
	secrets, err := LoadSigningSecrets(writeSecret(t, strong+"\n"+other.text+"\n", 0o440))
	if err != nil || len(secrets) != 2 || secrets[0].text != strong || secrets[1] != other {
		t.Errorf("got %d secrets (%v), want two in their order", len(secrets), err)
	}
}

func TestAttack95BadSecretIsRefusedAndNamed(t *testing.T) {
	tests := []struct{ name, text, says string }{
		{"nothing", "", "no secret"},
		{"white space", " \n\t\n", "no secret"},
		{"31 bytes", strong[:31], "secret 1 has 31 bytes"},
		{"a short second one", strong + "\n" + strong[:10], "secret 2 has 10 bytes"},
		{"the first again", strong + "\n" + NewSigningSecret().text + "\n" + strong, "secret 3 is secret 1 again"},
		{"changeme", "changeme", "secret 1 has 8 bytes"},
		{"changeme, four times", strings.Repeat("changeme", 4), "repeats itself"},
		{"changeme, and some more", strings.Repeat("changeme", 4) + "chan", "repeats itself"},
		{"one byte", strings.Repeat("a", 64), "repeats itself"},
		{"two bytes", "abaababbbaababaababbabababbabaabb", "repeats itself"},
		{"digits, twice", strings.Repeat("0123456789abcdef", 2), "repeats itself"},
		{"words", "pushserver-secret-changeme-password-default", "well-known"},
		{"words in upper case", "PushServer_Secret_ChangeMe_Password_1", "well-known"},
		{"an example's", "a-string-secret-at-least-256-bits-long", "well-known"},
		{"an alphabet", "abcdefghijklmnopqrstuvwxyz0123456789", "well-known"},
		{"bytes", strong + "\x01", "printable"},
		{"letters beyond ASCII", strong + "é", "printable"},
		{"too much", strings.Repeat(strong+"\n", 3_000), "more than"},
	}
	for _, test := range tests {
		path := writeSecret(t, test.text, 0o600)
		secrets, err := LoadSigningSecrets(path)
		if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %d secrets (%v), want an error with %q and the file", test.name, len(secrets), err, test.says)
		}
		for field := range strings.FieldsSeq(test.text) {
			if err != nil && strings.Contains(err.Error(), field) {
				t.Errorf("%s: the error shows the secret: %v", test.name, err)
			}
		}
	}
}

func TestAttack95FileThatEverybodyReadsIsRefused(t *testing.T) {
	admin := Mint(Adm)
	for _, mode := range []os.FileMode{0o604, 0o644, 0o666, 0o602, 0o601, 0o777, 0o444, 0o660, 0o620, 0o700, 0o610} {
		path := writeSecret(t, strong, mode)
		if _, err := LoadSigningSecrets(path); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), fmt.Sprintf("%04o", mode)) || !strings.Contains(err.Error(), "chmod 0600 "+path) {
			t.Errorf("mode %o: got %v, want a refusal that names the file", mode, err)
		}
		if _, err := LoadSecret(writeSecret(t, admin.Reveal(), mode)); err == nil {
			t.Errorf("mode %o: an admin's key is read", mode)
		}
	}
	for _, mode := range []os.FileMode{0o400, 0o600, 0o440, 0o640} {
		if got, err := LoadSecret(writeSecret(t, admin.Reveal()+"\n", mode)); err != nil || got != admin {
			t.Errorf("mode %o: got %v (%v), want the key", mode, got, err)
		}
	}
	if _, err := LoadSigningSecrets(t.TempDir()); err == nil {
		t.Error("a folder is read")
	}
	if _, err := LoadSigningSecrets(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: got %v, want that it is not there", err)
	}
	typo := writeSecret(t, admin.Reveal()[1:], 0o600)
	if _, err := LoadSecret(typo); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), typo) {
		t.Errorf("a typing error: got %v, want ErrMalformed and the file", err)
	}
}

func TestRandomSecretIsNotRefused(t *testing.T) {
	for range 1_000 {
		var b [32]byte
		_, _ = rand.Read(b[:])
		for _, text := range []string{
			NewSigningSecret().text, hex.EncodeToString(b[:]), hex.EncodeToString(b[:16]), base64.StdEncoding.EncodeToString(b[:]),
		} {
			if err := checkSigningSecret(text); err != nil {
				t.Errorf("%q %v", text, err)
			}
		}
	}
}

func TestRepetitionIsSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.StringMatching(`[a-z]{1,16}`).Draw(t, "unit")
		text := strings.Repeat(unit, 64/len(unit)+1)
		cut := rapid.IntRange(2*len(unit), len(text)).Draw(t, "cut")
		if !repeats(text[:cut]) {
			t.Fatalf("%q repeats %q", text[:cut], unit)
		}
	})
	for _, text := range []string{strong, "ab", "aab", "abcabd"} {
		if repeats(text) {
			t.Errorf("%q repeats nothing", text)
		}
	}
}

func TestTokensAreNotConfiguredByHalves(t *testing.T) {
	secrets := []SigningSecret{NewSigningSecret()}
	issuers := newIssuers(t)["ES256"].tokens.others
	good := issuers[0].Issuer
	change := func(f func(*Issuer)) []Issuer {
		issuer := good
		f(&issuer)
		return []Issuer{issuer}
	}
	for name, o := range map[string]TokenOptions{
		"nothing":                       {},
		"an empty secret":               {Secrets: []SigningSecret{{}}},
		"a life of no time":             {Secrets: secrets, MaxLife: -1},
		"an issuer twice":               {Issuers: []Issuer{good, good}},
		"an issuer without a name":      {Issuers: change(func(i *Issuer) { i.Name = "" })},
		"an issuer of our name":         {Issuers: change(func(i *Issuer) { i.Name = defaultName })},
		"an issuer of our type":         {Issuers: change(func(i *Issuer) { i.Type = tokenType })},
		"an issuer without an audience": {Issuers: change(func(i *Issuer) { i.Audience = "" })},
		"an issuer with HS256":          {Issuers: change(func(i *Issuer) { i.Algorithm = "HS256" })},
		"an issuer with none":           {Issuers: change(func(i *Issuer) { i.Algorithm = "none" })},
		"an issuer without a key":       {Issuers: change(func(i *Issuer) { i.Key = "" })},
		"an issuer without its keys":    {Issuers: change(func(i *Issuer) { i.Keys = nil })},
	} {
		if _, err := NewTokens(o); err == nil {
			t.Errorf("%s passes", name)
		}
	}
	only, err := NewTokens(TokenOptions{Issuers: []Issuer{good}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := only.Mint(&Key{Kind: Live}, TokenRequest{Origin: shop}); err == nil {
		t.Error("a token is minted without a secret")
	}
	if _, err := only.Parse(signed(goodHeader, "{}", "")); !errors.Is(err, ErrToken) {
		t.Errorf("one of ours, without a secret: got %v, want ErrToken", err)
	}
}
