package cloudevents

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/paylogic/pushserver/internal/strictjson"
)

// wantCode checks the code of an error, and returns the error if it is an Invalid.
func wantCode(t *testing.T, in string, err error, want string) *Invalid {
	t.Helper()
	invalid := invalidOf(err)
	var broken *strictjson.Error
	code := ""
	if errors.As(err, &broken) {
		code = string(broken.Code)
	} else if invalid != nil {
		code = invalid.Code
	}
	if code != want {
		t.Fatalf("%.80q: got %v, want %s", in, err, want)
	}
	return invalid
}

func invalidOf(err error) *Invalid {
	var invalid *Invalid
	errors.As(err, &invalid)
	return invalid
}

// places returns what the places of a kind point at; of another kind, "".
func places(invalid *Invalid, kind string) []string {
	var at []string
	for _, place := range invalid.Places {
		if place.Kind != kind {
			place.At = ""
		}
		at = append(at, place.At)
	}
	return at
}

// short returns an event in the short form with one member set.
func short(name, value string) string {
	members := map[string]any{"merchant": "acme", "type": "a.b", "data": 1, name: value}
	raw, _ := json.Marshal(members)
	return string(raw)
}

func TestShortFormIsRead(t *testing.T) {
	log, e, err := DecodeShort([]byte(`{"merchant":"acme","type":"a.b","subject":"o/9","id":"x","source":"/s","time":"2025-11-22T21:00:00Z","livemode":false,"data": {"n":[9007199254740993,  1e400]} }`))
	if err != nil {
		t.Fatal(err)
	}
	if log != "acme.test" || e.Merchant != "acme" || e.Type != "a.b" || e.Subject != "o/9" || e.ID != "x" ||
		e.Source != "/s" || e.Time != "2025-11-22T21:00:00Z" || string(e.Data) != `{"n":[9007199254740993,  1e400]}` {
		t.Errorf("got %s %+v", log, e)
	}
	log, e, err = DecodeShort([]byte(`{"merchant":"acme","type":"a","data":null}`))
	if err != nil || log != "acme" || e.ID+e.Source+e.Time != "" || string(e.Data) != "null" {
		t.Errorf("got %s %+v, %v", log, e, err)
	}
}

func TestInvisibleCharactersAreRefusedWithAPointer(t *testing.T) {
	for _, bad := range []string{
		"\n", "\r", "\r\n", "\x00", "\x7f", "\u0085", "\u009f", "\u2028", "\u2029", "\u202a", "\u202e",
		"\u2066", "\u2069", "\u200b", "\u200f", "\ufeff",
	} {
		for _, name := range []string{"id", "type", "subject", "source"} {
			_, _, err := DecodeShort([]byte(short(name, "a"+bad+"b")))
			p := wantCode(t, name+bad, err, "schema-violation")
			if got := places(p, Pointer); !slices.Equal(got, []string{"/" + name}) {
				t.Errorf("%s with %+q: errors point at %v", name, bad, got)
			}
		}
	}
}

func TestBoundsOfAttributes(t *testing.T) {
	tests := []struct {
		name, value, want string
	}{
		{"id", "x", ""},
		{"id", strings.Repeat("x", 128), ""},
		{"id", strings.Repeat("x", 129), "schema-violation"},
		{"id", "", "schema-violation"},
		{"type", strings.Repeat("x", 129), "schema-violation"},
		{"type", "_x", "schema-violation"},
		{"type", "stream.open", "reserved-type"},
		{"type", "streams.open", ""},
		{"subject", strings.Repeat("é", 128), ""},
		{"subject", strings.Repeat("é", 128) + "x", "schema-violation"},
		{"source", strings.Repeat("x", 257), "schema-violation"},
		{"time", "2099-01-01T00:00:00Z", ""}, // ahead: the order is the log's
		{"time", "10000-01-01T00:00:00Z", "schema-violation"},
		{"time", "9999-12-31T23:59:59-01:00", "schema-violation"}, // 10000 in UTC
		{"time", "yesterday", "schema-violation"},
		{"merchant", "Acme", "unknown-merchant"},
		{"merchant", "acme:x", "unknown-merchant"},
		{"merchant", "", "unknown-merchant"},
		{"livemode", "true", "schema-violation"}, // a string
	}
	for _, tt := range tests {
		_, _, err := DecodeShort([]byte(short(tt.name, tt.value)))
		if tt.want != "" {
			wantCode(t, tt.value, err, tt.want)
		} else if err != nil {
			t.Errorf("%s %.40q: %v", tt.name, tt.value, err)
		}
	}
}

func TestMemberNamesAreComparedExactly(t *testing.T) {
	for _, name := range []string{"MERCHANT", "Type", "ſubject", "extra", "a/b"} {
		_, _, err := DecodeShort([]byte(short(name, "x")))
		p := wantCode(t, name, err, "schema-violation")
		if got := places(p, Pointer); len(got) != 1 {
			t.Errorf("%s: errors point at %v", name, got)
		}
	}
	_, _, err := DecodeStructured([]byte(structured(`"MERCHANT":"evil"`)))
	wantCode(t, "MERCHANT", err, "schema-violation")
	_, _, err = DecodeShort([]byte(short(strings.Repeat("x", 100_000), "x")))
	if p := invalidOf(err); len(p.Places[0].Detail) > 200 {
		t.Errorf("a long name is repeated: %.300v", p.Places)
	}
}

func TestMissingAttributesAreAllNamed(t *testing.T) {
	_, _, err := DecodeShort([]byte(`{}`))
	p := wantCode(t, "{}", err, "schema-violation")
	if got := places(p, Pointer); !slices.Equal(got, []string{"/merchant", "/type", "/data"}) {
		t.Errorf("errors point at %v", got)
	}
	for _, in := range []string{"null", "[]", "1", `"x"`, "", "{}{}"} {
		_, _, err := DecodeShort([]byte(in))
		wantCode(t, in, err, "malformed-json")
	}
}

func structured(more string) string {
	return `{"specversion":"1.0","id":"1","source":"/s","type":"t","merchant":"acme",` + more + `}`
}

func TestStructuredEventIsRead(t *testing.T) {
	log, e, err := DecodeStructured([]byte(structured(`"zeta":"z","alpha":-7,"flag":true,"none":null,"subject":null,"datacontenttype":"application/json","data":1e400`)))
	if err != nil || string(e.Extensions) != `{"alpha":-7,"flag":true,"zeta":"z"}` || string(e.Data) != "1e400" || log != "acme" {
		t.Errorf("got %+v %s, %v", e, e.Extensions, err)
	}
	log, e, err = DecodeStructured([]byte(structured(`"livemode":false`)))
	if err != nil || log != "acme.test" || e.Data != nil || string(e.Extensions) != `{"livemode":false}` {
		t.Errorf("got %s %+v, %v", log, e, err)
	}
	for _, more := range []string{
		`"data_base64":"AA=="`, `"ext":1.5`, `"ext":2147483648`, `"ext":{}`, `"ext":"\u0000"`, `"Ext":1`,
		`"abcdefghijklmnopqrstu":1`, `"datacontenttype":"text/plain"`, `"subject":1`, `"livemode":"false"`,
	} {
		_, _, err := DecodeStructured([]byte(structured(more)))
		wantCode(t, more, err, "schema-violation")
	}
	_, _, err = DecodeStructured([]byte(`{"specversion":"0.3","id":null}`))
	p2 := wantCode(t, "0.3", err, "schema-violation")
	if got := places(p2, Pointer); !slices.Equal(got, []string{"/specversion", "/id", "/source", "/type", "/merchant"}) {
		t.Errorf("errors point at %v", got)
	}
}

func TestBinaryHeadersAreDecodedOnce(t *testing.T) {
	header := func(more ...string) http.Header {
		h := http.Header{}
		all := append([]string{"specversion", "1.0", "id", "1", "source", "/s", "type", "t", "merchant", "acme"}, more...)
		for i := 0; i < len(all); i += 2 {
			h.Add("ce-"+all[i], all[i+1])
		}
		return h
	}
	log, e, err := DecodeBinary(header("subject", "%E2%82%AC%2525+x", "ext", `a"<`, "livemode", "false"), []byte(" [9007199254740993] "))
	if err != nil || e.Subject != "€%25+x" || string(e.Extensions) != `{"ext":"a\"<","livemode":false}` || log != "acme.test" ||
		string(e.Data) != "[9007199254740993]" {
		t.Errorf("got %+v %s, %v", e, e.Extensions, err)
	}
	if _, e, err := DecodeBinary(header(), nil); err != nil || e.Data != nil {
		t.Errorf("no body: got %+v, %v", e, err)
	}
	for _, more := range [][]string{
		{"subject", "%0a"}, {"subject", "%zz"}, {"subject", "%ff"}, {"subject", "%E2%80%AE"}, {"id", "2"},
		{"livemode", "yes"}, {"datacontenttype", "application/json"}, {"x-y", "1"},
	} {
		_, _, err := DecodeBinary(header(more...), nil)
		p := wantCode(t, more[1], err, "schema-violation")
		if got := places(p, Header); !slices.Equal(got, []string{"ce-" + more[0]}) {
			t.Errorf("%v: errors name %v", more, got)
		}
	}
	_, _, err = DecodeBinary(header(), []byte(`{"a":1,"a":2}`))
	wantCode(t, "body", err, "duplicate-member")
}

// The data is delivered without its content type, so it must be the one that is
// taken for granted.
func TestDataIsOfTheContentTypeThatGoesWithoutSaying(t *testing.T) {
	for in, taken := range map[string]bool{
		"application/json":                       true,
		"Application/JSON; charset=UTF-8":        true,
		"application/vnd.acme+json":              false,
		"application/json; charset=utf-16":       false,
		"application/json; profile=x":            false,
		"application/json; charset=utf-8; odd=x": false,
		"text/plain":                             false,
	} {
		_, _, err := DecodeStructured([]byte(structured(`"datacontenttype":"` + in + `","data":1`)))
		if taken && err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if !taken {
			p := wantCode(t, in, err, "schema-violation")
			if got := places(p, Pointer); !slices.Equal(got, []string{"/datacontenttype"}) {
				t.Errorf("%s: errors point at %v", in, got)
			}
		}
	}
}
