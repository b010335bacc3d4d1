package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

var bounds = Bounds{Depth: 64, Elements: 1000}

func parse(raw []byte) (*Document, error) { return Parse(raw, bounds) }

func batch(raw []byte, each func(*Document, error)) (*Document, error) {
	return ParseBatch(raw, bounds, each)
}

func codeOf(err error) Code {
	var invalid *Error
	if errors.As(err, &invalid) {
		return invalid.Code
	}
	return ""
}

func wantCode(t *testing.T, in string, err error, want Code) {
	t.Helper()
	if got := codeOf(err); got != want {
		t.Errorf("%.80q: got %v, want %s", in, err, want)
	}
}

func TestParseSplitsTheTopLevel(t *testing.T) {
	doc, err := parse([]byte(" {\"a\\u0062\" : 9007199254740993 ,\"c\":[1e400, {\"d\":\"\\ud83d\\ude00\"}]}\n"))
	if err != nil || doc.Kind != '{' || len(doc.Members) != 2 {
		t.Fatalf("got %+v, %v", doc, err)
	}
	if m := doc.Members[0]; m.Name != "ab" || string(m.Value) != "9007199254740993" {
		t.Errorf("first: %q %q", m.Name, m.Value)
	}
	if m := doc.Members[1]; m.Name != "c" || string(m.Value) != `[1e400, {"d":"\ud83d\ude00"}]` {
		t.Errorf("second: %q %q", m.Name, m.Value)
	}
	doc, err = parse([]byte(`[1, [2,3] ,"x"]`))
	if err != nil || doc.Kind != '[' || len(doc.Elements) != 3 || string(doc.Elements[1]) != "[2,3]" {
		t.Errorf("array: got %+v, %v", doc, err)
	}
	for in, want := range map[string]byte{"-0.5E+7": '0', "12": '0', "true": 't', "false": 'f', "null": 'n', `"x"`: '"'} {
		if doc, err := parse([]byte(in)); err != nil || doc.Kind != want || string(doc.Raw) != in {
			t.Errorf("%s: got %+v, %v", in, doc, err)
		}
	}
}

func TestParseRejectsWhatReadersInterpretDifferently(t *testing.T) {
	tests := []struct {
		in   string
		code Code
	}{
		{"{\"data\":\"\xff\"}", NotUTF8},
		{"{\"data\":\"\xe2\x82", NotUTF8}, // ends inside a sequence
		{"{\"data\":\"\xe2\x82\"}", NotUTF8},
		{"\"\xed\xa0\x80\"", NotUTF8}, // a surrogate in UTF-8
		{`"\ud800"`, NotUTF8},
		{`"\udc00"`, NotUTF8},
		{`"\ud800\ud800"`, NotUTF8},
		{`"\ud800\n"`, NotUTF8},
		{`{"\udfff":1}`, NotUTF8},
		{`{"a":1,"a":1}`, Duplicate},
		{`{"a":1,"\u0061":1}`, Duplicate},
		{`{"x":[{"y":{"a":1,"b":2,"a":3}}]}`, Duplicate},
		{`[{"a":1,"a":2}]`, Duplicate},
		{strings.Repeat("[", 65) + strings.Repeat("]", 65), TooDeep},
		{strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65), TooDeep},
		{strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), TooDeep},
		{"", Malformed},
		{" \n", Malformed},
		{"\ufeff{}", Malformed},
		{"{}{}", Malformed},
		{"1 2", Malformed},
		{"{} x", Malformed},
		{"{}\x00", Malformed},
		{`{"a":1,}`, Malformed},
		{"[1,]", Malformed},
		{"[1 2]", Malformed},
		{"{a:1}", Malformed},
		{`{"a"}`, Malformed},
		{"01", Malformed},
		{"1.", Malformed},
		{".5", Malformed},
		{"+1", Malformed},
		{"1e", Malformed},
		{"-", Malformed},
		{"NaN", Malformed},
		{"nul", Malformed},
		{"\"a\nb\"", Malformed},
		{`"\x41"`, Malformed},
		{`"\u00g0"`, Malformed},
		{`"\u00`, Malformed},
		{`"`, Malformed},
		{"{", Malformed},
		{"/**/1", Malformed},
	}
	for _, tt := range tests {
		_, err := parse([]byte(tt.in))
		wantCode(t, tt.in, err, tt.code)
	}
	deep := strings.Repeat("[", 64) + strings.Repeat("]", 64)
	if _, err := parse([]byte(deep)); err != nil {
		t.Errorf("64 levels: %v", err)
	}
}

func TestMembersOfAnObjectAreBounded(t *testing.T) {
	two := Bounds{Depth: 2, Members: 2}
	if _, err := Parse([]byte(`{"a":{"a":1,"b":2},"b":{}}`), two); err != nil {
		t.Error(err)
	}
	for _, in := range []string{`{"a":1,"b":2,"c":3}`, `[{"a":1,"b":2,"c":3}]`} {
		_, err := Parse([]byte(in), two)
		wantCode(t, in, err, TooMany)
	}
}

func TestDeepNestingIsRejectedAtOnce(t *testing.T) {
	raw := []byte(strings.Repeat("[", 1_000_000))
	best := time.Hour
	for range 5 { // the best of a few: the machine may be busy
		start := time.Now()
		_, err := parse(raw)
		best = min(best, time.Since(start))
		wantCode(t, "[[[[", err, TooDeep)
	}
	if best > time.Millisecond {
		t.Errorf("took %v, want less than 1ms", best)
	}
}

func TestElementsOfABatchDoNotAffectEachOther(t *testing.T) {
	deep := strings.Repeat("[", 70) + `"]\"["` + strings.Repeat("]", 70)
	elements := []string{`{"a":1,"a":2}`, deep, "\"\xff\"", `{"ok":true}`}
	wants := []Code{Duplicate, TooDeep, NotUTF8, ""}
	i := 0
	doc, err := batch([]byte("["+strings.Join(elements, " , ")+"]"), func(doc *Document, err error) {
		switch want := wants[i]; {
		case want != "":
			if doc != nil || codeOf(err) != want {
				t.Errorf("element %d: got %v, want %s", i, err, want)
			}
		case err != nil || string(doc.Raw) != elements[i] || doc.Kind != '{' || len(doc.Members) != 1:
			t.Errorf("element %d: got %+v, %v, want %s", i, doc, err, elements[i])
		}
		i++
	})
	if err != nil || i != len(elements) {
		t.Fatalf("%d elements: got %+v, %v", i, doc, err)
	}
	ignore := func(*Document, error) {}
	unexpected := func(*Document, error) { t.Error("an element was passed") }
	_, err = batch([]byte(`[{"a":1},{"b"}]`), ignore)
	wantCode(t, "broken element", err, Malformed)
	_, err = batch([]byte("["+strings.Repeat("1,", bounds.Elements)+"1]"), ignore)
	wantCode(t, "one too many", err, TooMany)
	if doc, err := batch([]byte("[]"), unexpected); err != nil || doc.Kind != '[' {
		t.Errorf("empty: got %+v, %v", doc, err)
	}
}

func FuzzParseAcceptsOnlyJSON(f *testing.F) {
	for _, seed := range []string{`{"a":[1,"\ud83d\ude00",null]}`, `[{"a":1,"a":2}]`, "\"\xff\"", "1e400", `"\ud800"`, "[[["} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := parse(raw); err == nil && !json.Valid(raw) {
			t.Errorf("%q was accepted and is not JSON", raw)
		} else if err != nil && codeOf(err) == Malformed && json.Valid(raw) {
			t.Errorf("%q is JSON and was rejected: %v", raw, err)
		}
		_, _ = batch(raw, func(doc *Document, err error) { // as if each had come by itself
			if err != nil {
				return
			}
			if alone, err := Parse(doc.Raw, bounds); err != nil || alone.Kind != doc.Kind || !slices.EqualFunc(alone.Members, doc.Members, sameMember) {
				t.Errorf("%q: an element of a batch is %+v, by itself %+v, %v", doc.Raw, doc, alone, err)
			}
		})
	})
}

func sameMember(a, b Member) bool { return a.Name == b.Name && bytes.Equal(a.Value, b.Value) }
