package compat

import (
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/paylogic/pushserver/api/catalog"
	"github.com/paylogic/pushserver/internal/yamltree"
)

func TestWhatBreaksPublishersOrMerchants(t *testing.T) {
	const open = `{ type: object, required: [a], properties: { a: { type: string }, b: { type: integer } } }`
	tests := []struct {
		old, next string
		want      []string
	}{
		{open, open, nil},

		// What may be done.
		{open, strings.Replace(open, "b: {", "c: { enum: [x] }, b: {", 1), nil},
		{open, strings.Replace(open, "a: { type: string }", "a: { type: string, title: A, description: B, examples: [x], default: y, deprecated: true, x-note: z }", 1), nil},
		{`{ enum: [a, b] }`, `{ enum: [b, a] }`, nil},
		{`{ enum: [a] }`, `{ const: a }`, nil},
		{`{ enum: [1, 2.0] }`, `{ enum: [1.0, 2] }`, nil},
		{`{ type: [string, 'null'] }`, `{ type: ['null', string] }`, nil},
		{`{ type: [number] }`, `{ type: [number, integer] }`, nil},
		{`{ minimum: 1 }`, `{ minimum: 1.0 }`, nil},
		{`{ type: object }`, `{ type: object, additionalProperties: true }`, nil},
		{`{ items: { properties: { a: true } } }`, `{ items: { properties: { a: true, b: { type: string } } } }`, nil},
		{`{ anyOf: [ { type: string }, { properties: { a: true } } ] }`, `{ anyOf: [ { type: string }, { properties: { a: true, b: true } } ] }`, nil},
		{`{ $ref: '#/$defs/a', $defs: { a: { type: string } } }`, `{ type: string }`, nil},
		{`{ additionalProperties: { properties: { a: true } } }`, `{ additionalProperties: { properties: { a: true, b: true } } }`, nil},

		// Members.
		{open, `{ type: object, required: [a], properties: { a: { type: string } } }`, []string{"/properties/b was removed"}},
		{open, `{ type: object, properties: { b: { type: integer } } }`, []string{"/properties/a was removed", "/required was removed"}},
		{open, strings.Replace(open, "[a]", "[a, b]", 1), []string{`/required was ["a"] and is ["a","b"]`}},
		{open, strings.Replace(open, "[a]", "[]", 1), []string{"/required was removed"}},
		{`{ required: [a] }`, `{}`, []string{"/required was removed"}},
		{open, `{ type: object, required: [a, c], properties: { a: { type: string }, b: { type: integer }, c: true } }`, []string{`/required was ["a"] and is ["a","c"]`}},
		{open, strings.Replace(open, "type: integer", "type: number", 1), []string{`/properties/b/type was ["integer"] and is ["number"]`}},
		{`{ additionalProperties: false, properties: { a: true } }`, `{ additionalProperties: false, properties: { a: true, b: true } }`, []string{"/properties/b was added"}},
		{`{ additionalProperties: false }`, `{ additionalProperties: true }`, []string{"/additionalProperties was false and is true"}},
		{`{ additionalProperties: false }`, `{}`, []string{"/additionalProperties was removed"}},
		{`{}`, `{ additionalProperties: false }`, []string{"/additionalProperties was added"}},
		{`{ additionalProperties: { type: string } }`, `{ additionalProperties: { type: string }, properties: { b: { const: x } } }`, []string{"/properties/b was added"}},
		{`{ patternProperties: { '^n_': { type: string } } }`, `{ patternProperties: { '^n_': { type: string } }, properties: { n_b: { const: x }, b: true } }`, []string{"/properties/n_b was added"}},
		{`{ patternProperties: { a: true } }`, `{ patternProperties: { b: true } }`, []string{"/patternProperties/a was removed", "/patternProperties/b was added"}},
		{`{ unevaluatedProperties: false, allOf: [ { properties: { a: true } } ] }`, `{ unevaluatedProperties: false, allOf: [ { properties: { a: true, b: true } } ] }`, []string{"/allOf/0/properties/b was added"}},
		{`{ unevaluatedProperties: false, properties: { a: { properties: {} } } }`, `{ unevaluatedProperties: false, properties: { a: { properties: { b: true } } } }`, nil},

		// Values.
		{`{ enum: [a, b] }`, `{ enum: [a, c] }`, []string{`/enum was ["a","b"] and is ["a","c"]`}},
		{`{ enum: [a, b] }`, `{ const: b }`, []string{`/const was ["a","b"] and is ["b"]`}},
		{`{ enum: [a] }`, `{}`, []string{"/enum was removed"}},
		{`{}`, `{ const: a }`, []string{"/const was added"}},
		{`{ type: number }`, `{ type: integer }`, []string{`/type was ["number"] and is ["integer"]`}},
		{`{ type: string }`, `{ type: [string, 'null'] }`, []string{`/type was ["string"] and is ["null","string"]`}},
		{`{ type: string }`, `{ type: integer }`, []string{`/type was ["string"] and is ["integer"]`}},
		{`{ minimum: 1 }`, `{ minimum: 2 }`, []string{"/minimum was 1 and is 2"}},
		{`{ minimum: 1 }`, `{ minimum: 0 }`, []string{"/minimum was 1 and is 0"}},
		{`{ maxLength: 9 }`, `{ maxLength: 8 }`, []string{"/maxLength was 9 and is 8"}},
		{`{ exclusiveMaximum: 9 }`, `{ exclusiveMaximum: 10 }`, []string{"/exclusiveMaximum was 9 and is 10"}},
		{`{ maxItems: 9 }`, `{}`, []string{"/maxItems was removed"}},
		{`{}`, `{ format: date }`, []string{"/format was added"}},
		{`{ pattern: a }`, `{ pattern: b }`, []string{`/pattern was "a" and is "b"`}},
		{`{ multipleOf: 2 }`, `{ multipleOf: 4 }`, []string{"/multipleOf was 2 and is 4"}},
		{`true`, `false`, []string{"was true and is false"}},
		{`true`, `{ type: string }`, []string{`was true and is {"type":"string"}`}},

		// Schemas in schemas.
		{`{ anyOf: [ true ] }`, `{ anyOf: [ true, true ] }`, []string{"/anyOf has 2 schemas instead of 1"}},
		{`{ not: { properties: { a: true } } }`, `{ not: { properties: { a: true, b: true } } }`, []string{`/not was {"properties":{"a":true}} and is {"properties":{"a":true,"b":true}}`}},
		{`{ items: { type: string } }`, `{ items: { type: integer } }`, []string{`/items/type was ["string"] and is ["integer"]`}},
		{`{ items: { properties: { a/b: { minimum: 1 } } } }`, `{ items: { properties: { a/b: { minimum: 2 } } } }`, []string{"/items/properties/a~1b/minimum was 1 and is 2"}},
		{`{ dependentSchemas: { a: { required: [b] } } }`, `{ dependentSchemas: { a: { required: [] } } }`, []string{"/dependentSchemas/a/required was removed"}},
	}
	for _, tt := range tests {
		old, next := &catalog.Type{Name: "x.y", Tree: schema(t, tt.old)}, &catalog.Type{Name: "x.y", Tree: schema(t, tt.next)}
		var got []string
		for _, b := range check([]*catalog.Type{old}, []*catalog.Type{next}) {
			got = append(got, strings.TrimPrefix(b.String(), "x.y "))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("from %s\nto   %s\ngot  %q\nwant %q", tt.old, tt.next, got, tt.want)
		}
	}
}

// schema reads a schema; if it has references, with them in place.
func schema(t *testing.T, text string) *yaml.Node {
	t.Helper()
	if !strings.Contains(text, "$ref") {
		n, f := yamltree.Read([]byte(text))
		if f != nil {
			t.Fatalf("schema %s: %s", text, f.Reason)
		}
		return n
	}
	c, err := catalog.Parse("test.yaml", []byte("types:\n  x.y:\n    title: T\n    description: D\n    schema: "+text+"\n    examples:\n      - data: a\n"))
	if err != nil {
		t.Fatalf("schema %s: %v", text, err)
	}
	return c.Type("x.y").Tree
}

func TestTypesComeAndDoNotGo(t *testing.T) {
	anything := schema(t, "true")
	old := []*catalog.Type{{Name: "b", Tree: anything}, {Name: "a", Tree: anything}, {Name: "s", Tree: anything, State: true}}
	next := []*catalog.Type{{Name: "c", Tree: anything}, {Name: "a", Tree: anything, State: true, Deprecated: true}, {Name: "s", Tree: anything}}
	var got []string
	for _, b := range check(old, next) {
		got = append(got, b.String())
	}
	want := []string{"a now has state", "b was removed", "s no longer has state"}
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("got %q, want %q", got, want)
	}
	if breaks := Check(catalog.Builtin(), catalog.Builtin()); len(breaks) > 0 {
		t.Errorf("the built-in catalogue breaks itself: %v", breaks)
	}
}

func FuzzCatalogueDoesNotBreakItself(f *testing.F) {
	for _, schema := range []string{"{ type: object, required: [a], properties: { a: { enum: [1, 1.0, x] } } }", "{ not: false }", "{ minProperties: 1 }"} {
		f.Add("types:\n  x.y:\n    title: T\n    description: D\n    schema: " + schema + "\n    examples: [{ data: { a: 1 } }]\n")
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := catalog.Parse("x", []byte(text))
		if err != nil {
			return
		}
		if breaks := Check(c, c); len(breaks) > 0 {
			t.Errorf("%q breaks itself: %v", text, breaks)
		}
	})
}
