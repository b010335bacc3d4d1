package auth

import (
	"encoding/json"
	"errors"

	"github.com/paylogic/pushserver/internal/strictjson"
)

// tokenBounds limits a token's parts, which are read before we know who wrote
// them. Other issuers' tokens have more members than ours.
var tokenBounds = strictjson.Bounds{Depth: 8, Members: 64}

// membersOf reads a JSON object by the exact names of its members.
func membersOf(text []byte) (map[string]json.RawMessage, error) {
	doc, err := strictjson.Parse(text, tokenBounds)
	switch {
	case err != nil:
		return nil, err
	case doc.Kind != '{':
		return nil, errors.New("not a JSON object")
	}
	members := make(map[string]json.RawMessage, len(doc.Members))
	for _, m := range doc.Members {
		members[m.Name] = m.Value
	}
	return members, nil
}

// textOf returns the text of a JSON string that was parsed.
func textOf(value []byte) (string, error) {
	text, ok := strictjson.Text(value)
	if !ok {
		return "", errors.New("not a string")
	}
	return text, nil
}
