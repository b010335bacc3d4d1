package catalog

import (
	"slices"
	"strings"
	"testing"
)

func TestWhatBreaksPublishersOrMerchants(t *testing.T) {
	const open = `{ type: object, required: [a], properties: { a: { type: string }, b: { type: integer } } }`
	tests := []struct {
		old, next string
		want      []string // beginnings
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
		{open, `{ type: object, properties: { b: { type: integer } } }`, []string{"/properties/a was removed"}},
		{open, strings.Replace(open, "[a]", "[a, b]", 1), []string{`/required "b" is now required, but publishers`}},
		{open, strings.Replace(open, "[a]", "[]", 1), []string{`/required "a" may be missing now: merchants`}},
		{`{ required: [a] }`, `{}`, []string{`/required "a" may be missing now: merchants`}},
		{open, `{ type: object, required: [a, c], properties: { a: { type: string }, b: { type: integer }, c: true } }`, []string{`/required "c" is now required`}},
		{open, strings.Replace(open, "type: integer", "type: number", 1), []string{"/properties/b/type a number is accepted now: merchants"}},
		{`{ additionalProperties: false, properties: { a: true } }`, `{ additionalProperties: false, properties: { a: true, b: true } }`, []string{"/properties/b was added: merchants"}},
		{`{ additionalProperties: false }`, `{ additionalProperties: true }`, []string{"/additionalProperties was changed"}},
		{`{ additionalProperties: false }`, `{}`, []string{"/additionalProperties was removed: merchants"}},
		{`{}`, `{ additionalProperties: false }`, []string{"/additionalProperties was added: publishers"}},
		{`{ additionalProperties: { type: string } }`, `{ additionalProperties: { type: string }, properties: { b: { const: x } } }`, []string{"/properties/b was added: merchants"}},
		{`{ patternProperties: { '^n_': { type: string } } }`, `{ patternProperties: { '^n_': { type: string } }, properties: { n_b: { const: x }, b: true } }`, []string{"/properties/n_b was added: publishers"}},
		{`{ patternProperties: { a: true } }`, `{ patternProperties: { b: true } }`, []string{"/patternProperties/a was removed", "/patternProperties/b was added"}},
		{`{ unevaluatedProperties: false, allOf: [ { properties: { a: true } } ] }`, `{ unevaluatedProperties: false, allOf: [ { properties: { a: true, b: true } } ] }`, []string{"/allOf/0/properties/b was added: merchants"}},
		{`{ unevaluatedProperties: false, properties: { a: { properties: {} } } }`, `{ unevaluatedProperties: false, properties: { a: { properties: { b: true } } } }`, nil},

		// Values.
		{`{ enum: [a, b] }`, `{ enum: [a, c] }`, []string{`/enum "b" is no longer accepted: publishers`, `/enum "c" is accepted now: merchants`}},
		{`{ enum: [a, b] }`, `{ const: b }`, []string{`/const "a" is no longer accepted: publishers`}},
		{`{ enum: [a] }`, `{}`, []string{"/enum was removed: merchants"}},
		{`{}`, `{ const: a }`, []string{"/const was added: publishers"}},
		{`{ type: number }`, `{ type: integer }`, []string{"/type a number is no longer accepted: publishers"}},
		{`{ type: string }`, `{ type: [string, 'null'] }`, []string{"/type null is accepted now: merchants"}},
		{`{ type: string }`, `{ type: integer }`, []string{"/type an integer is accepted now", "/type a string is no longer accepted"}},
		{`{ minimum: 1 }`, `{ minimum: 2 }`, []string{"/minimum was tightened from 1 to 2: publishers"}},
		{`{ minimum: 1 }`, `{ minimum: 0 }`, []string{"/minimum was loosened from 1 to 0: merchants"}},
		{`{ maxLength: 9 }`, `{ maxLength: 8 }`, []string{"/maxLength was tightened from 9 to 8: publishers"}},
		{`{ exclusiveMaximum: 9 }`, `{ exclusiveMaximum: 10 }`, []string{"/exclusiveMaximum was loosened from 9 to 10: merchants"}},
		{`{ maxItems: 9 }`, `{}`, []string{"/maxItems was removed: merchants"}},
		{`{}`, `{ format: date }`, []string{"/format was added: publishers"}},
		{`{ pattern: a }`, `{ pattern: b }`, []string{`/pattern was "a" and is "b"`}},
		{`{ multipleOf: 2 }`, `{ multipleOf: 4 }`, []string{`/multipleOf was 2 and is 4`}},
		{`true`, `false`, []string{"was changed"}},
		{`true`, `{ type: string }`, []string{"was changed"}},

		// Schemas in schemas.
		{`{ anyOf: [ true ] }`, `{ anyOf: [ true, true ] }`, []string{"/anyOf has 2 schemas instead of 1"}},
		{`{ not: { properties: { a: true } } }`, `{ not: { properties: { a: true, b: true } } }`, []string{"/not was"}},
		{`{ items: { type: string } }`, `{ items: { type: integer } }`, []string{"/items/type an integer", "/items/type a string"}},
		{`{ items: { properties: { a/b: { minimum: 1 } } } }`, `{ items: { properties: { a/b: { minimum: 2 } } } }`, []string{"/items/properties/a~1b/minimum was tightened"}},
		{`{ dependentSchemas: { a: { required: [b] } } }`, `{ dependentSchemas: { a: { required: [] } } }`, []string{`/dependentSchemas/a/required "b" may be missing`}},
	}
	for _, tt := range tests {
		old, next := &Type{Name: "x.y", schema: compiled(t, tt.old).schema}, &Type{Name: "x.y", schema: compiled(t, tt.next).schema}
		var got []string
		for _, b := range Compatible(catalogOf(old), catalogOf(next)) {
			got = append(got, strings.TrimPrefix(b.String(), "x.y "))
		}
		if !slices.EqualFunc(got, tt.want, strings.HasPrefix) {
			t.Errorf("from %s\nto   %s\ngot  %q\nwant %q", tt.old, tt.next, got, tt.want)
		}
	}
}

func catalogOf(types ...*Type) *Catalog {
	c := &Catalog{byName: make(map[string]*Type)}
	for _, t := range types {
		c.types = append(c.types, t)
		c.byName[t.Name] = t
	}
	return c
}

func TestTypesComeAndDoNotGo(t *testing.T) {
	anything := compiled(t, "true").schema
	old := catalogOf(&Type{Name: "b", schema: anything}, &Type{Name: "a", schema: anything}, &Type{Name: "s", schema: anything, State: true})
	next := catalogOf(&Type{Name: "c", schema: anything}, &Type{Name: "a", schema: anything, State: true, Deprecated: true}, &Type{Name: "s", schema: anything})
	var got []string
	for _, b := range Compatible(old, next) {
		got = append(got, b.String())
	}
	want := []string{"a now has state", "b was removed", "s no longer has state"}
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("got %q, want %q", got, want)
	}
	if breaks := Compatible(Builtin(), Builtin()); len(breaks) > 0 {
		t.Errorf("the built-in catalogue breaks itself: %v", breaks)
	}
}
