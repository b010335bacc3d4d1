package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// short returns an event in the short form with one member set.
func short(name, value string) string {
	members := map[string]any{"merchant": "acme", "type": "a.b", "data": 1, name: value}
	raw, _ := json.Marshal(members)
	return string(raw)
}

func TestShortFormIsRead(t *testing.T) {
	p, err := decodeShort([]byte(`{"merchant":"acme","type":"a.b","subject":"o/9","id":"x","source":"/s","time":"2025-11-22T21:00:00Z","livemode":false,"data": {"n":[9007199254740993,  1e400]} }`))
	if err != nil {
		t.Fatal(err)
	}
	e := p.event
	if p.merchant != "acme" || !p.test || e.Merchant != "acme" || e.Type != "a.b" || e.Subject != "o/9" || e.ID != "x" ||
		e.Source != "/s" || e.Time != "2025-11-22T21:00:00Z" || string(e.Data) != `{"n":[9007199254740993,  1e400]}` {
		t.Errorf("got %+v", p)
	}
	p, err = decodeShort([]byte(`{"merchant":"acme","type":"a","data":null}`))
	if err != nil || p.test || p.event.ID+p.event.Source+p.event.Time != "" || string(p.event.Data) != "null" {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestInvisibleCharactersAreRefusedWithAPointer(t *testing.T) {
	for _, bad := range []string{
		"\n", "\r", "\r\n", "\x00", "\x7f", "\u0085", "\u009f", "\u2028", "\u2029", "\u202a", "\u202e",
		"\u2066", "\u2069", "\u200b", "\u200f", "\ufeff",
	} {
		for _, name := range []string{"id", "type", "subject", "source"} {
			_, err := decodeShort([]byte(short(name, "a"+bad+"b")))
			p := wantProblem(t, name+bad, err, "schema-violation", 422)
			if got := places(p, "pointer"); !slices.Equal(got, []string{"/" + name}) {
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
		_, err := decodeShort([]byte(short(tt.name, tt.value)))
		if tt.want != "" {
			wantProblem(t, tt.value, err, tt.want, 422)
		} else if err != nil {
			t.Errorf("%s %.40q: %v", tt.name, tt.value, err)
		}
	}
}

func TestMemberNamesAreComparedExactly(t *testing.T) {
	for _, name := range []string{"MERCHANT", "Type", "ſubject", "extra", "a/b"} {
		_, err := decodeShort([]byte(short(name, "x")))
		p := wantProblem(t, name, err, "schema-violation", 422)
		if got := places(p, "pointer"); len(got) != 1 {
			t.Errorf("%s: errors point at %v", name, got)
		}
	}
	_, err := decodeStructured([]byte(structured(`"MERCHANT":"evil"`)))
	wantProblem(t, "MERCHANT", err, "schema-violation", 422)
	_, err = decodeShort([]byte(short(strings.Repeat("x", 100_000), "x")))
	if p := problemOf(err); len(places(p, "detail")[0]) > 200 {
		t.Errorf("a long name is repeated: %.300v", p.Extra)
	}
}

func TestMissingAttributesAreAllNamed(t *testing.T) {
	_, err := decodeShort([]byte(`{}`))
	p := wantProblem(t, "{}", err, "schema-violation", 422)
	if got := places(p, "pointer"); !slices.Equal(got, []string{"/merchant", "/type", "/data"}) {
		t.Errorf("errors point at %v", got)
	}
	for _, in := range []string{"null", "[]", "1", `"x"`, "", "{}{}"} {
		_, err := decodeShort([]byte(in))
		wantProblem(t, in, err, "malformed-json", 400)
	}
}

func structured(more string) string {
	return `{"specversion":"1.0","id":"1","source":"/s","type":"t","merchant":"acme",` + more + `}`
}

func TestStructuredEventIsRead(t *testing.T) {
	p, err := decodeStructured([]byte(structured(`"zeta":"z","alpha":-7,"flag":true,"none":null,"subject":null,"datacontenttype":"application/json","data":1e400`)))
	if err != nil || string(p.event.Extensions) != `{"alpha":-7,"flag":true,"zeta":"z"}` || string(p.event.Data) != "1e400" || p.test {
		t.Errorf("got %+v %s, %v", p, p.event.Extensions, err)
	}
	p, err = decodeStructured([]byte(structured(`"livemode":false`)))
	if err != nil || !p.test || p.event.Data != nil || p.event.Extensions != nil {
		t.Errorf("got %+v, %v", p, err)
	}
	for _, more := range []string{
		`"data_base64":"AA=="`, `"ext":1.5`, `"ext":2147483648`, `"ext":{}`, `"ext":"\u0000"`, `"Ext":1`,
		`"abcdefghijklmnopqrstu":1`, `"datacontenttype":"text/plain"`, `"subject":1`, `"livemode":"false"`,
	} {
		_, err := decodeStructured([]byte(structured(more)))
		wantProblem(t, more, err, "schema-violation", 422)
	}
	_, err = decodeStructured([]byte(`{"specversion":"0.3","id":null}`))
	p2 := wantProblem(t, "0.3", err, "schema-violation", 422)
	if got := places(p2, "pointer"); !slices.Equal(got, []string{"/specversion", "/id", "/source", "/type", "/merchant"}) {
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
	p, err := decodeBinary(header("subject", "%E2%82%AC%2525+x", "ext", `a"<`, "livemode", "false"), []byte(" [9007199254740993] "))
	if err != nil || p.event.Subject != "€%25+x" || string(p.event.Extensions) != `{"ext":"a\"<"}` || !p.test ||
		string(p.event.Data) != "[9007199254740993]" {
		t.Errorf("got %+v %s, %v", p, p.event.Extensions, err)
	}
	if p, err := decodeBinary(header(), nil); err != nil || p.event.Data != nil {
		t.Errorf("no body: got %+v, %v", p, err)
	}
	for _, more := range [][]string{
		{"subject", "%0a"}, {"subject", "%zz"}, {"subject", "%ff"}, {"subject", "%E2%80%AE"}, {"id", "2"},
		{"livemode", "yes"}, {"datacontenttype", "application/json"}, {"x-y", "1"},
	} {
		_, err := decodeBinary(header(more...), nil)
		p := wantProblem(t, more[1], err, "schema-violation", 422)
		if got := places(p, "header"); !slices.Equal(got, []string{"ce-" + more[0]}) {
			t.Errorf("%v: errors name %v", more, got)
		}
	}
	_, err = decodeBinary(header(), []byte(`{"a":1,"a":2}`))
	wantProblem(t, "body", err, "duplicate-member", 422)
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
		_, err := decodeStructured([]byte(structured(`"datacontenttype":"` + in + `","data":1`)))
		if taken && err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if !taken {
			p := wantProblem(t, in, err, "schema-violation", 422)
			if got := places(p, "pointer"); !slices.Equal(got, []string{"/datacontenttype"}) {
				t.Errorf("%s: errors point at %v", in, got)
			}
		}
	}
}
