package catalog

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func oneType(schema, data string) string {
	return "types:\n  x.y:\n    title: T\n    description: D\n    schema: " + schema + "\n    examples:\n      - data: " + data + "\n"
}

func TestBuiltinHasTheTypesOfATicketShop(t *testing.T) {
	state := map[string]bool{
		"ticket.availability": true, "seat.status": true,
		"payment.succeeded": false, "payment.failed": false, "order.completed": false,
	}
	types := Builtin().Types()
	for _, typ := range types {
		want, known := state[typ.Name]
		if !known || typ.State != want || typ.Deprecated {
			t.Errorf("%s: state %t, deprecated %t", typ.Name, typ.State, typ.Deprecated)
		}
		for i, e := range typ.Examples {
			if e.Summary == "" || e.Subject == "" || strings.HasPrefix(e.ID, "example-") {
				t.Errorf("%s: example %d lacks a summary, a subject or an id", typ.Name, i+1)
			}
			if err := typ.Check(e.Data); err != nil {
				t.Errorf("%s: example %d: %v", typ.Name, i+1, err)
			}
		}
	}
	if len(types) != len(state) {
		t.Errorf("there are %d types, want %d", len(types), len(state))
	}
}

func TestFileIsReadAsItIsWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "events.yaml")
	const text = `types:
  b.z:
    title: Second letter
    description: |
      Of the alphabet.
    state: true
    deprecated: true
    schema:
      $defs: { n: { type: number, title: N, $comment: nobody sees it } }
      type: object
      properties:
        z: { $ref: '#/$defs/n' }
        a: { $ref: '#/$defs/n', title: A }
        m: { $ref: '#/$defs/n', minimum: 1 }
        free: true
    examples:
      - { summary: One, id: e-1, source: /s, subject: s/1, data: { z: 1e400, a: 1.50, m: 2 } }
      - { data: { } }
  a.a: { title: T, description: D, schema: true, examples: [ { data: ~ } ] }
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	types := c.Types()
	if len(types) != 2 || types[0].Name != "b.z" || types[1].Name != "a.a" || c.Type("a.a") != types[1] || c.Type("b") != nil {
		t.Fatalf("got %v, want b.z and a.a in this order", types)
	}
	b := types[0]
	if b.Title != "Second letter" || b.Description != "Of the alphabet." || !b.State || !b.Deprecated || types[1].State {
		t.Errorf("got %+v", b)
	}
	if e := b.Examples[0]; e.Summary != "One" || e.ID != "e-1" || e.Source != "/s" || e.Subject != "s/1" || string(e.Data) != `{"z":1e400,"a":1.50,"m":2}` {
		t.Errorf("first example is %+v, data %s", e, e.Data)
	}
	if e := b.Examples[1]; e.ID != "example-2" || e.Source != "/examples" || e.Subject != "" || string(e.Data) != `{}` {
		t.Errorf("second example is %+v, data %s", e, e.Data)
	}
	want := `{"type":"object","properties":{"z":{"type":"number","title":"N"},"a":{"type":"number","title":"A"},` +
		`"m":{"allOf":[{"type":"number","title":"N"},{"minimum":1}]},"free":true}}`
	if got := string(b.Schema()); got != want {
		t.Errorf("schema is\n%s, want\n%s", got, want)
	}
	if got := string(types[1].Examples[0].Data); got != "null" {
		t.Errorf("example is %s, want null", got)
	}
}

func TestFileThatDoesNotLoadSaysWhereAndWhy(t *testing.T) {
	// typed puts lines into a type, whose first is line 3.
	typed := func(lines string) string { return "types:\n  x.y:\n" + lines }
	const head = "    title: T\n    description: D\n"
	const tail = "    examples: [{ data: 1 }]\n"
	tests := []struct {
		text string
		line int
		says string
	}{
		{"", 1, "nothing in it"},
		{"types: {", 1, "not valid YAML"},
		{"types:\n\t- a", 2, "not valid YAML"},
		{"types: {}\n---\ntypes: {}", 1, "more than one document"},
		{"types: {}", 1, "at least one type"},
		{"types: []", 1, "at least one type"},
		{"[]", 1, "mapping"},
		{"types: {}\nversion: 1", 2, "version is unknown"},
		{"a: &a 1\ntypes: *a", 2, "aliases"},
		{"types:\n  x.y: {}\n  x.y: {}", 3, "x.y appears twice"},
		{"types:\n  ? [a]\n  : 1", 2, "a name must be a text"},
		{"types:\n  stream.open: {}", 2, "reserved"},
		{"types:\n  .x: {}", 2, "begins with a letter"},
		{"types:\n  x.y: 1", 2, "mapping"},
		{typed("    title: T\n    schema: true\n" + tail), 2, "description is missing"},
		{typed("    title: [T]\n"), 3, "title must be a text"},
		{typed(head + "    state: yes please\n"), 5, "state must be true or false"},
		{typed(head + "    sate: true\n"), 5, "sate is unknown"},
		{typed(head + tail), 2, "schema is missing"},
		{typed(head + "    schema: true\n"), 2, "at least one example"},
		{typed(head + "    schema: true\n    examples: []\n"), 2, "at least one example"},
		{typed(head + "    schema: true\n    examples: [{}]\n"), 6, "data is missing"},
		{typed(head + "    schema: true\n    examples: [{ data: 1, subject: \"a\\nb\" }]\n"), 6, "printable"},
		{typed(head + "    schema: true\n    examples: [{ data: .inf }]\n"), 6, "as JSON does"},
		{typed(head + "    schema: true\n    examples: [{ data: 0x10 }]\n"), 6, "as JSON does"},
		{typed(head + "    schema: true\n    examples: [{ data: !!binary aGk= }]\n"), 6, "cannot represent the YAML tag"},
		{typed(head + "    schema:\n      properties:\n        a:\n          type: strin\n" + tail), 8, "/properties/a/type"},
		{typed(head + "    schema:\n      requird: [a]\n" + tail), 6, "requird is not a JSON Schema keyword"},
		{typed(head + "    schema:\n      type: object\n      properties:\n        a: { pattern: '(?<a' }\n" + tail), 8, "/properties/a/pattern"},
		{typed(head + "    schema:\n      format: datetime\n" + tail), 6, "is not supported"},
		{typed(head + "    schema:\n      $id: https://a.example/\n" + tail), 6, "$id is not taken"},
		{typed(head + "    schema:\n      $dynamicRef: '#a'\n" + tail), 6, "$dynamicRef is not taken"},
		{typed(head + "    schema:\n      items: { $defs: {} }\n" + tail), 6, "$defs is not taken"},
		{typed(head + "    schema:\n      $schema: http://json-schema.org/draft-07/schema#\n" + tail), 6, "$schema must be"},
		{typed(head + "    schema:\n      items:\n        $ref: https://a.example/x.json\n" + tail), 7, "nothing is ever fetched"},
		{typed(head + "    schema:\n      $ref: '#/$defs/a'\n" + tail), 6, "leads to nothing"},
		{typed(head + "    schema:\n      $ref: '#'\n" + tail), 6, "must lead to"},
		{typed(head + "    schema:\n      $defs:\n        a: { items: { $ref: '#/$defs/b' } }\n        b: { items: { $ref: '#/$defs/a' } }\n      $ref: '#/$defs/a'\n" + tail), 8, "in a circle"},
		{typed(head + "    schema:\n      maximum: 1e31\n" + tail), 6, "less than 10^30"},
		{typed(head + "    schema:\n      multipleOf: 1e-31\n" + tail), 6, "less than 10^30"},
		{typed(head + "    schema: { type: object, properties: { a: { items: { type: string } } } }\n    examples:\n      - data: {}\n      - data:\n          a:\n            - b\n            - 17\n"),
			11, "example 2: data does not fit the schema: /a/1 must be a string"},
		{oneType("true", "1") + "  x-y:\n    title: T\n    description: D\n    schema: true\n    examples: [{ data: 1 }]\n", 8, "differs from x.y"},
	}
	for _, tt := range tests {
		_, err := Parse("events.yaml", []byte(tt.text))
		var e *Error
		if !errors.As(err, &e) || e.File != "events.yaml" || e.Line != tt.line || !strings.Contains(e.Reason, tt.says) {
			t.Errorf("%q\ngot  %v\nwant line %d and %q", tt.text, err, tt.line, tt.says)
		}
	}
}

func TestSchemaThatGrowsWithoutEndIsRefused(t *testing.T) {
	var defs strings.Builder
	for _, name := range strings.Split("abcdefghijkl", "") {
		next := string(name[0] + 1)
		defs.WriteString(name + ": { anyOf: [ { $ref: '#/$defs/" + next + "' }, { $ref: '#/$defs/" + next + "' } ] }, ")
	}
	_, err := Parse("x", []byte(oneType("{ $ref: '#/$defs/a', $defs: { "+defs.String()+" m: true } }", "1")))
	if err == nil || !strings.Contains(err.Error(), "more than 1000 schemas") {
		t.Errorf("got %v", err)
	}
}

func FuzzParseIsReadOrRefusedAtALine(f *testing.F) {
	f.Add(builtin)
	f.Add([]byte(oneType("{ type: object, required: [a], properties: { a: { enum: [1, 1.0, x] } } }", "{ a: 1 }")))
	f.Add([]byte("types: {x: {schema: {$ref: '#/$defs/a', $defs: {a: {not: true}}}}}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("x", text)
		var e *Error
		switch {
		case err == nil:
			for _, typ := range c.Types() {
				for _, example := range typ.Examples {
					if err := typ.Check(example.Data); err != nil {
						t.Errorf("example %s of %q is refused: %v", example.Data, text, err)
					}
				}
			}
		case !errors.As(err, &e) || e.Line < 1 || e.Line > len(text)+1 || e.Reason == "":
			t.Errorf("%q: got %v", text, err)
		}
	})
}
