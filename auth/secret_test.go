package auth

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/paylogic/pushserver/internal/base62"
)

// scannerPattern is what the documentation gives to those who look for leaked keys.
var scannerPattern = regexp.MustCompile(`^ps_(live|test|pub|adm)_[0-9A-Za-z]{30,}$`)

func anyKind(t *rapid.T) Kind { return rapid.SampledFrom(allKinds).Draw(t, "kind") }

func TestMintedSecretParsesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := anyKind(t)
		minted := Mint(kind)
		if !scannerPattern.MatchString(minted.Reveal()) {
			t.Fatalf("a minted %s secret has not the documented form", kind)
		}
		parsed, err := ParseSecret(minted.Reveal())
		if err != nil || parsed != minted || parsed.Kind() != kind {
			t.Fatalf("parsed into %v of kind %q (%v), want %v", parsed, parsed.Kind(), err, minted)
		}
		if parsed.Hash() != minted.Hash() {
			t.Fatal("the same secret has two hashes")
		}
	})
}

func TestTypingErrorIsRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(Mint(anyKind(t)).Reveal())
		i := rapid.IntRange(0, len(text)-1).Draw(t, "at")
		switch rapid.SampledFrom([]string{"replace", "drop", "double", "swap", "case"}).Draw(t, "error") {
		case "replace":
			text[i] = rapid.Byte().Filter(func(b byte) bool { return b != text[i] }).Draw(t, "by")
		case "drop":
			text = append(text[:i], text[i+1:]...)
		case "double":
			text = append(text[:i+1], text[i:]...)
		case "swap":
			i = min(i, len(text)-checksumLen-2)
			if text[i] == text[i+1] {
				return // a swap of two equal characters is no error
			}
			text[i], text[i+1] = text[i+1], text[i]
		case "case":
			if text[i] ^= 0x20; text[i]|0x20 < 'a' || text[i]|0x20 > 'z' {
				return // not a letter
			}
		}
		if _, err := ParseSecret(string(text)); !errors.Is(err, ErrMalformed) {
			t.Fatalf("%q: got %v, want ErrMalformed", text, err)
		}
	})
}

func TestTextOfAnotherFormIsRefused(t *testing.T) {
	// withSum completes a body, so that only its form can be at fault.
	withSum := func(body string) string {
		sum := checksum(body)
		return body + string(sum[:])
	}
	random := strings.Repeat("a", randomLen)
	tests := []struct{ name, in string }{
		{"nothing", ""},
		{"only the prefix", "ps_live_"},
		{"no kind", withSum("ps_" + random)},
		{"an empty kind", withSum("ps__" + random)},
		{"another kind", withSum("ps_root_" + random)},
		{"a kind in upper case", withSum("ps_LIVE_" + random)},
		{"another prefix", withSum("sk_live_" + random)},
		{"too few random characters", withSum("ps_live_" + random[1:])},
		{"too many random characters", withSum("ps_live_" + strings.Repeat("a", maxRandomLen+1))},
		{"a third underscore", withSum("ps_live_a_" + random)},
		{"a space before", " " + withSum("ps_live_"+random)},
		{"a line feed behind", withSum("ps_live_"+random) + "\n"},
		{"a hyphen within", withSum("ps_live_-" + random)},
		{"letters beyond ASCII", withSum("ps_live_é" + random)},
		{"a NUL within", withSum("ps_live_\x00" + random)},
		{"a megabyte", "ps_live_" + strings.Repeat("a", 1<<20)},
	}
	for _, test := range tests {
		if _, err := ParseSecret(test.in); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, want ErrMalformed", test.name, err)
		}
	}
	if _, err := ParseSecret(withSum("ps_live_" + random)); err != nil {
		t.Errorf("the good form is refused: %v", err)
	}
	if _, err := ParseSecret(withSum("ps_adm_" + strings.Repeat("Z", maxRandomLen))); err != nil {
		t.Errorf("the longest form is refused: %v", err)
	}
}

func TestChecksumIsTheDocumentedOne(t *testing.T) {
	// CRC-32 (IEEE) of "123456789" is 0xCBF43926, its well-known check value;
	// 3421780262 = 3·62⁵ + 45·62⁴ + 35·62³ + 27·62² + 22·62 + 14.
	const want = "3jZRME"
	if got := checksum("123456789"); string(got[:]) != want {
		t.Errorf("checksum of 123456789 is %s, want %s", got, want)
	}
}

func TestSecretShowsItselfOnlyWhenAsked(t *testing.T) {
	secret := Mint(Live)
	random := secret.Reveal()[len("ps_live_"):]

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10s"} {
		fmt.Fprintf(&out, verb, secret)
		fmt.Fprintf(&out, verb, &secret)
		fmt.Fprintf(&out, verb, struct{ S Secret }{secret})
		fmt.Fprintf(&out, verb, []Secret{secret})
	}
	fmt.Fprintln(&out, secret, secret.String(), secret.GoString(), fmt.Errorf("wrapped: %v", secret))
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("key", "secret", secret, "pointer", &secret, "within", struct{ S Secret }{secret})
	}
	type holder struct{ S Secret } // XML encodes no struct without a name
	for _, marshal := range []func(any) ([]byte, error){json.Marshal, xml.Marshal} {
		text, err := marshal(holder{secret})
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
	}

	for _, form := range []string{random, fmt.Sprintf("%x", random), fmt.Sprintf("%X", random)} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the secret shows in:\n%s", out.String())
		}
	}
	if want := `{"S":"ps_live_[redacted]"}`; !strings.Contains(out.String(), want) {
		t.Errorf("no %s in:\n%s", want, out.String())
	}
}

func FuzzParseSecret(f *testing.F) {
	for _, kind := range allKinds {
		body := secretPrefix + string(kind) + "_" + strings.Repeat("0aZ", randomLen/3)
		sum := checksum(body)
		f.Add(body + string(sum[:]))
	}
	f.Add("ps_live_")
	f.Add("ps_live_\xff\x00")
	f.Fuzz(func(t *testing.T, text string) {
		secret, err := ParseSecret(text)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || secret != (Secret{}) {
				t.Fatalf("%q: got %v and %v, want nothing and ErrMalformed", text, secret, err)
			}
			return
		}
		if secret.Reveal() != text || !scannerPattern.MatchString(text) {
			t.Fatalf("%q passes and is not of the documented form", text)
		}
		if !strings.HasPrefix(text, secretPrefix+string(secret.Kind())+"_") {
			t.Fatalf("%q passes as kind %q", text, secret.Kind())
		}
		for i := range len(text) { // one character wrong, and it does not pass
			wrong := []byte(text)
			wrong[i] = base62.Digits[(strings.IndexByte(base62.Digits, wrong[i])+1)%62]
			if _, err := ParseSecret(string(wrong)); err == nil {
				t.Fatalf("both %q and %q pass", text, wrong)
			}
		}
	})
}
