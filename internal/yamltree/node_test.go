package yamltree

import (
	"strings"
	"testing"
)

func TestWhatIsReadIsWrittenAsJSON(t *testing.T) {
	for in, want := range map[string]string{
		"b: 1\na: [9007199254740993, 1e400, -0.5]": `{"b":1,"a":[9007199254740993,1e400,-0.5]}`,
		`{ "s": "1e400", t: 2025-11-22, n: null }`: `{"s":"1e400","t":"2025-11-22","n":null}`,
		"x: |\n  <a>\n  b":                         `{"x":"<a>\nb"}`,
	} {
		n, f := Read([]byte(in))
		if f != nil {
			t.Errorf("%q: %v", in, f)
			continue
		}
		if got := string(AppendJSON(nil, n)); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestWhatJSONLacksIsRejectedAtItsLine(t *testing.T) {
	for _, tt := range []struct {
		in, says string
		line     int
	}{
		{"a: 1\na: 2", "a", 2},
		{"a: &x 1\nb: *x", "aliases", 2},
		{"a: 1\n2: !!binary aGk=", "", 2},
		{"a:\n  b: 0x10", "as JSON does", 2},
		{"a: .inf", "as JSON does", 1},
		{"[a]: 1", "name", 1},
		{"a: [", "", 1},
		{"", "", 1},
		{"a: 1\n---\nb: 2", "more than one document", 1},
	} {
		if _, f := Read([]byte(tt.in)); f == nil || f.Line != tt.line || !strings.Contains(f.Reason, tt.says) {
			t.Errorf("%q: got %+v, want line %d and %q", tt.in, f, tt.line, tt.says)
		}
	}
}

func TestPointerLeadsToANode(t *testing.T) {
	n, f := Read([]byte("a/b:\n  - x\n  - y: 1\n"))
	if f != nil {
		t.Fatal(f)
	}
	for pointer, line := range map[string]int{"/a~1b/1/y": 3, "/a~1b/0": 2, "/a~1b/1/z": 3, "": 1} {
		if got := Locate(n, pointer); got.Line != line {
			t.Errorf("%s leads to line %d, want %d", pointer, got.Line, line)
		}
	}
}
