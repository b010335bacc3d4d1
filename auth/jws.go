package auth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/paylogic/pushserver/internal/strictjson"
)

// Bounds on a part of a token. Some parts are read before the token's author is
// known. Other issuers' tokens have more members than ours.
const (
	maxMembers = 64
	maxDepth   = 8 // objects and lists inside one another
)

// A jws is a token in the compact form (RFC 7515, 3.1), read without trust.
type jws struct {
	header    map[string]any // alg, typ and kid, as far as present; each a string
	payload   string         // encoded
	signed    string         // header and payload, encoded
	signature []byte
}

// parseJWS rejects what the JWT library would accept or take long to read: texts
// that are too long, that have another number of parts, or whose parts are not in
// the canonical encoding. A header may have only an algorithm, a type and a key id.
// The cost of a text that passes is proportional to its length.
func parseJWS(text string) (jws, error) {
	if len(text) > MaxTokenLen {
		return jws{}, fmt.Errorf("more than %d bytes", MaxTokenLen)
	}
	header, rest, _ := strings.Cut(text, ".")
	payload, signature, ok := strings.Cut(rest, ".")
	if !ok || strings.Contains(signature, ".") {
		return jws{}, errors.New("not three parts")
	}
	members, err := decodePart(header)
	if err != nil {
		return jws{}, err
	}
	f := jws{header: map[string]any{}, payload: payload, signed: text[:len(header)+1+len(payload)]}
	for name, value := range members {
		if name != "alg" && name != "typ" && name != "kid" {
			return jws{}, errors.New("a header member other than alg, typ and kid")
		}
		if f.header[name], err = textOf(value); err != nil {
			return jws{}, err
		}
	}
	f.signature, err = decode64(signature)
	return f, err
}

func (f jws) typ() string {
	typ, _ := f.header["typ"].(string)
	return typ
}

// issuer returns the issuer that the token claims to be from.
func (f jws) issuer() (string, error) {
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

// membersOf reads a JSON object by the exact names of its members. Its errors
// repeat nothing of the text.
func membersOf(text []byte) (map[string]json.RawMessage, error) {
	doc, err := strictjson.Parse(text, strictjson.Bounds{Depth: maxDepth, Members: maxMembers})
	var broken *strictjson.Error
	switch {
	case errors.As(err, &broken):
		return nil, errors.New(string(broken.Code))
	case err != nil:
		return nil, err
	case doc.Kind != '{':
		return nil, errors.New("not a JSON object")
	}
	members := make(map[string]json.RawMessage, len(doc.Members))
	for _, member := range doc.Members {
		members[member.Name] = member.Value
	}
	return members, nil
}

func textOf(value []byte) (string, error) {
	text, ok := strictjson.Text(value)
	if !ok {
		return "", errors.New("not a text")
	}
	return text, nil
}

// decode64 accepts only the canonical base64url text of some bytes.
func decode64(part string) ([]byte, error) {
	if strings.ContainsAny(part, "\r\n") {
		return nil, errors.New("a line break") // which the decoder would skip
	}
	return base64.RawURLEncoding.Strict().DecodeString(part)
}
