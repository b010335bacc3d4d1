package auth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// A form is a token as far as it can be read without trusting it.
type form struct {
	header    map[string]any // alg, typ and kid: texts, those that are there
	payload   string         // encoded
	signed    string         // header and payload, encoded
	signature []byte
}

// parseForm refuses what the JWT library would let pass or would take pains to
// understand: what is too long, of another number of parts, not in the one
// encoding that there is of each part, and all of a header but its algorithm,
// type and key. What it lets pass costs no more than its length.
func parseForm(text string) (form, error) {
	if len(text) > MaxTokenLen {
		return form{}, fmt.Errorf("more than %d bytes", MaxTokenLen)
	}
	header, rest, _ := strings.Cut(text, ".")
	payload, signature, ok := strings.Cut(rest, ".")
	if !ok || strings.Contains(signature, ".") {
		return form{}, errors.New("not three parts")
	}
	members, err := decodePart(header)
	if err != nil {
		return form{}, err
	}
	f := form{header: map[string]any{}, payload: payload, signed: text[:len(header)+1+len(payload)]}
	for name, value := range members {
		if name != "alg" && name != "typ" && name != "kid" {
			return form{}, errors.New("a header member other than alg, typ and kid")
		}
		if f.header[name], err = textOf(value); err != nil {
			return form{}, err
		}
	}
	f.signature, err = decode64(signature)
	return f, err
}

func (f form) typ() string {
	typ, _ := f.header["typ"].(string)
	return typ
}

// issuer returns the issuer that the token claims to be from.
func (f form) issuer() (string, error) {
	members, err := decodePart(f.payload)
	if err != nil {
		return "", err
	}
	if members["iss"] == nil {
		return "", errors.New("no issuer")
	}
	return textOf(members["iss"])
}

func decodePart(part string) (map[string]json.RawMessage, error) {
	text, err := decode64(part)
	if err != nil {
		return nil, err
	}
	return membersOf(text)
}

// decode64 takes the one base64url text that there is of some bytes.
func decode64(part string) ([]byte, error) {
	if strings.ContainsAny(part, "\r\n") {
		return nil, errors.New("a line's end") // which the decoder would skip
	}
	return base64.RawURLEncoding.Strict().DecodeString(part)
}
