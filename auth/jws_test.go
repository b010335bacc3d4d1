package auth

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"strings"
	"testing"
)

func TestMembersAreReadByTheirExactNames(t *testing.T) {
	got, err := membersOf([]byte(" {\"a\" : 1 ,\n\"\\u0062\\\"\":[\"],}\", {\"x\":[]}],\"c,\":\"\\\\\",\"A\":{} } "))
	want := map[string]string{"a": "1", `b"`: `["],}", {"x":[]}]`, "c,": `"\\"`, "A": "{}"}
	if err != nil || len(got) != len(want) {
		t.Fatalf("got %s (%v), want %s", got, err, want)
	}
	for name, value := range want {
		if string(got[name]) != value {
			t.Errorf("%q is %s, want %s", name, got[name], value)
		}
	}
}

// membersByDecoder is membersOf as encoding/json has it, and slower.
func membersByDecoder(text []byte) (members map[string]json.RawMessage, twice bool, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, false, io.ErrUnexpectedEOF
	}
	members = map[string]json.RawMessage{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, false, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, false, err
		}
		_, again := members[name.(string)]
		twice = twice || again
		members[name.(string)] = value
	}
	if !json.Valid(text) {
		return nil, false, io.ErrUnexpectedEOF
	}
	return members, twice, nil
}

func FuzzMembers(f *testing.F) {
	for _, text := range []string{
		"{}", " { } ", `{"a":1}`, `{"a":[1,{"b":"}"}],"c":"\\"}`, `{"a":1,"\u0061":2}`, `{"a":1,}`, "[]", "null", `{"a":1}{}`,
		`{"":"\ud800"}`, "{\"a\":\"\xff\"}", strings.Repeat(`{"a":`, 9) + "1" + strings.Repeat("}", 9),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := membersOf(text)
		want, twice, wantErr := membersByDecoder(text)
		if err != nil {
			return // it may refuse more
		}
		same := maps.EqualFunc(got, want, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) })
		if wantErr != nil || twice || !same {
			t.Fatalf("%q: got %s, want %s (%v)", text, got, want, wantErr)
		}
	})
}
