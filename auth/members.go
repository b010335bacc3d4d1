package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// What a part of a token can hold, whoever wrote it: some is read before it is
// known who has. Other issuers' tokens have more members than ours.
const (
	maxMembers = 64
	maxDepth   = 8 // of objects and lists within each other
)

const jsonSpace = " \t\r\n"

// membersOf reads a JSON object by the exact names of its members, of which no
// two may be the same. A decoder would take the last of two, and a name in
// another case for the one that it looks for.
func membersOf(text []byte) (map[string]json.RawMessage, error) {
	switch {
	case !utf8.Valid(text):
		return nil, errors.New("not UTF-8")
	case jsonDepth(text) > maxDepth:
		return nil, errors.New("objects or lists too deep within each other")
	case !json.Valid(text):
		return nil, errors.New("not JSON")
	}
	rest, ok := bytes.CutPrefix(bytes.Trim(text, jsonSpace), []byte("{"))
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	members := make(map[string]json.RawMessage, 16)
	for { // it is valid: what is expected is there
		rest = bytes.TrimLeft(rest, jsonSpace+",")
		if rest[0] == '}' {
			return members, nil
		}
		end := stringEnd(rest)
		name, err := textOf(rest[:end])
		if err != nil {
			return nil, err
		}
		rest = rest[end+bytes.IndexByte(rest[end:], ':')+1:]
		end = valueEnd(rest)
		if _, twice := members[name]; twice {
			return nil, errors.New("a member that is there twice")
		}
		if len(members) == maxMembers {
			return nil, errors.New("too many members")
		}
		members[name] = bytes.Trim(rest[:end], jsonSpace)
		rest = rest[end:]
	}
}

// textOf returns the text that a valid JSON value is.
func textOf(value []byte) (text string, err error) {
	if value[0] != '"' {
		return "", errors.New("not a text")
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1]), nil
	}
	return text, json.Unmarshal(value, &text)
}

// stringEnd returns the length of the string that a valid JSON text begins with.
func stringEnd(text []byte) int {
	for i := 1; ; i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// valueEnd returns the length of the value, with the space around it, that the
// rest of a valid JSON object begins with.
func valueEnd(text []byte) int {
	depth := 0
	for i := 0; ; i++ {
		switch text[i] {
		case '"':
			i += stringEnd(text[i:]) - 1
		case '[', '{':
			depth++
		case ']', '}':
			if depth == 0 {
				return i
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
}

// jsonDepth returns how deep a text goes if it is JSON; any number if not.
func jsonDepth(text []byte) int {
	deepest, depth, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[', c == '{':
			depth++
			deepest = max(deepest, depth)
		case c == ']', c == '}':
			depth--
		}
	}
	return deepest
}
