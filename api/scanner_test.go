package api

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestScanTakesTheTopLevelApart(t *testing.T) {
	doc, err := scan([]byte(" {\"a\\u0062\" : 9007199254740993 ,\"c\":[1e400, {\"d\":\"\\ud83d\\ude00\"}]}\n"))
	if err != nil || doc.kind != '{' || len(doc.members) != 2 {
		t.Fatalf("got %+v, %v", doc, err)
	}
	if m := doc.members[0]; m.name != "ab" || string(m.value) != "9007199254740993" {
		t.Errorf("first: %q %q", m.name, m.value)
	}
	if m := doc.members[1]; m.name != "c" || string(m.value) != `[1e400, {"d":"\ud83d\ude00"}]` {
		t.Errorf("second: %q %q", m.name, m.value)
	}
	doc, err = scan([]byte(`[1, [2,3] ,"x"]`))
	if err != nil || doc.kind != '[' || len(doc.elements) != 3 || string(doc.elements[1]) != "[2,3]" {
		t.Errorf("array: got %+v, %v", doc, err)
	}
	for in, want := range map[string]byte{"-0.5E+7": '0', "12": '0', "true": 't', "false": 'f', "null": 'n', `"x"`: '"'} {
		if doc, err := scan([]byte(in)); err != nil || doc.kind != want || string(doc.raw) != in {
			t.Errorf("%s: got %+v, %v", in, doc, err)
		}
	}
}

func TestScanRefusesWhatReadersDisagreeAbout(t *testing.T) {
	tests := []struct {
		in, name string
		status   int
	}{
		{"{\"data\":\"\xff\"}", "invalid-utf8", 422},
		{"{\"data\":\"\xe2\x82", "invalid-utf8", 422}, // ends inside a sequence
		{"{\"data\":\"\xe2\x82\"}", "invalid-utf8", 422},
		{"\"\xed\xa0\x80\"", "invalid-utf8", 422}, // a surrogate in UTF-8
		{`"\ud800"`, "invalid-utf8", 422},
		{`"\udc00"`, "invalid-utf8", 422},
		{`"\ud800\ud800"`, "invalid-utf8", 422},
		{`"\ud800\n"`, "invalid-utf8", 422},
		{`{"\udfff":1}`, "invalid-utf8", 422},
		{`{"a":1,"a":1}`, "duplicate-member", 422},
		{`{"a":1,"\u0061":1}`, "duplicate-member", 422},
		{`{"x":[{"y":{"a":1,"b":2,"a":3}}]}`, "duplicate-member", 422},
		{`[{"a":1,"a":2}]`, "duplicate-member", 422},
		{strings.Repeat("[", 65) + strings.Repeat("]", 65), "too-deep", 422},
		{strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65), "too-deep", 422},
		{strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), "too-deep", 422},
		{"", "malformed-json", 400},
		{" \n", "malformed-json", 400},
		{"\ufeff{}", "malformed-json", 400},
		{"{}{}", "malformed-json", 400},
		{"1 2", "malformed-json", 400},
		{"{} x", "malformed-json", 400},
		{"{}\x00", "malformed-json", 400},
		{`{"a":1,}`, "malformed-json", 400},
		{"[1,]", "malformed-json", 400},
		{"[1 2]", "malformed-json", 400},
		{"{a:1}", "malformed-json", 400},
		{`{"a"}`, "malformed-json", 400},
		{"01", "malformed-json", 400},
		{"1.", "malformed-json", 400},
		{".5", "malformed-json", 400},
		{"+1", "malformed-json", 400},
		{"1e", "malformed-json", 400},
		{"-", "malformed-json", 400},
		{"NaN", "malformed-json", 400},
		{"nul", "malformed-json", 400},
		{"\"a\nb\"", "malformed-json", 400},
		{`"\x41"`, "malformed-json", 400},
		{`"\u00g0"`, "malformed-json", 400},
		{`"\u00`, "malformed-json", 400},
		{`"`, "malformed-json", 400},
		{"{", "malformed-json", 400},
		{"/**/1", "malformed-json", 400},
	}
	for _, tt := range tests {
		_, err := scan([]byte(tt.in))
		wantProblem(t, tt.in, err, tt.name, tt.status)
	}
	deep := strings.Repeat("[", 64) + strings.Repeat("]", 64)
	if _, err := scan([]byte(deep)); err != nil {
		t.Errorf("64 levels: %v", err)
	}
}

func TestDeepNestingIsRefusedAtOnce(t *testing.T) {
	raw := []byte(strings.Repeat("[", 1_000_000))
	best := time.Hour
	for range 5 { // the best of a few: the machine may be busy
		start := time.Now()
		_, err := scan(raw)
		best = min(best, time.Since(start))
		wantProblem(t, "[[[[", err, "too-deep", 422)
	}
	if best > time.Millisecond {
		t.Errorf("took %v, want less than 1ms", best)
	}
}

func TestBatchLeavesElementsToThemselves(t *testing.T) {
	deep := strings.Repeat("[", 70) + `"]\"["` + strings.Repeat("]", 70)
	elements := []string{`{"a":1,"a":2}`, deep, "\"\xff\"", `{"ok":true}`}
	wants := []string{"duplicate-member", "too-deep", "invalid-utf8", ""}
	i := 0
	doc, err := scanBatch([]byte("["+strings.Join(elements, " , ")+"]"), func(doc *document, err error) {
		switch want := wants[i]; {
		case want != "":
			if doc != nil || problemOf(err).Name != want {
				t.Errorf("element %d: got %v, want %s", i, err, want)
			}
		case err != nil || string(doc.raw) != elements[i] || doc.kind != '{' || len(doc.members) != 1:
			t.Errorf("element %d: got %+v, %v, want %s", i, doc, err, elements[i])
		}
		i++
	})
	if err != nil || i != len(elements) {
		t.Fatalf("%d elements: got %+v, %v", i, doc, err)
	}
	ignore := func(*document, error) {}
	unexpected := func(*document, error) { t.Error("there is an element") }
	_, err = scanBatch([]byte(`[{"a":1},{"b"}]`), ignore)
	wantProblem(t, "broken element", err, "malformed-json", 400)
	_, err = scanBatch([]byte("["+strings.Repeat("1,", batchMax)+"1]"), ignore)
	wantProblem(t, "one too many", err, "payload-too-large", 413)
	if doc, err := scanBatch([]byte("[]"), unexpected); err != nil || doc.kind != '[' {
		t.Errorf("empty: got %+v, %v", doc, err)
	}
}

func FuzzScanTakesOnlyJSON(f *testing.F) {
	for _, seed := range []string{`{"a":[1,"\ud83d\ude00",null]}`, `[{"a":1,"a":2}]`, "\"\xff\"", "1e400", `"\ud800"`, "[[["} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := scan(raw); err == nil && !json.Valid(raw) {
			t.Errorf("%q was taken and is no JSON", raw)
		} else if err != nil && problemOf(err).Name == "malformed-json" && json.Valid(raw) {
			t.Errorf("%q is JSON and was refused: %v", raw, err)
		}
		_, _ = scanBatch(raw, func(doc *document, err error) { // as if each had come by itself
			if err != nil {
				return
			}
			if alone, err := scanEvent(doc.raw); err != nil || alone.kind != doc.kind || !slices.EqualFunc(alone.members, doc.members, sameMember) {
				t.Errorf("%q: an element of a batch is %+v, by itself %+v, %v", doc.raw, doc, alone, err)
			}
		})
	})
}

func sameMember(a, b member) bool { return a.name == b.name && bytes.Equal(a.value, b.value) }
