package catalog

import (
	"github.com/paylogic/pushserver/internal/yamltree"

	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestViolationsNameThePlaceAndTheRule(t *testing.T) {
	tests := []struct {
		schema, data string
		want         []string
	}{
		{`{ type: integer }`, `1.5`, []string{"must be an integer"}},
		{`{ type: [string, 'null'] }`, `1`, []string{"must be null or a string"}},
		{`{ type: [array, object, boolean] }`, `1`, []string{"must be a boolean, an array or an object"}},
		{`{ enum: [a, b, 3] }`, `"secret"`, []string{`must be "a", "b" or 3`}},
		{`{ enum: [` + strings.Repeat("a-long-value-that-is-told, ", 8) + `x] }`, `"secret"`, []string{"must be one of the values that the schema allows"}},
		{`{ const: { a: 1 } }`, `"secret"`, []string{`must be {"a":1}`}},
		{`{ minimum: 0.5 }`, `0.1`, []string{"must be at least 0.5"}},
		{`{ maximum: 9007199254740993 }`, `9007199254740994`, []string{"must be at most 9007199254740993"}},
		{`{ exclusiveMinimum: 0 }`, `0`, []string{"must be more than 0"}},
		{`{ exclusiveMaximum: 0 }`, `0`, []string{"must be less than 0"}},
		{`{ multipleOf: 0.01 }`, `1.005`, []string{"must be a multiple of 0.01"}},
		{`{ minLength: 2, pattern: '^a' }`, `"z"`, []string{"must have at least 2 characters", `must match the pattern "^a"`}},
		{`{ maxLength: 2 }`, `"žžž"`, []string{"must have at most 2 characters"}},
		{`{ format: date-time }`, `"2025-11-22 21:00"`, []string{"must have the format date-time"}},
		{`{ format: date-time }`, `"2025-11-22t21:00:00z"`, []string{"must have the format date-time"}},
		{`{ format: date }`, `"2025-02-29"`, []string{"must have the format date"}},
		{`{ format: uuid }`, `"x"`, []string{"must have the format uuid"}},
		{`{ minItems: 2 }`, `[1]`, []string{"must have at least 2 items"}},
		{`{ maxItems: 1 }`, `[1, 2]`, []string{"must have at most 1 items"}},
		{`{ uniqueItems: true }`, `[1, 2, 1.0]`, []string{"must not contain equal items: items 0 and 2 are equal"}},
		{`{ contains: { const: 1 } }`, `[2]`, []string{"lacks a required item"}},
		{`{ contains: { const: 1 }, minContains: 2 }`, `[1]`, []string{"must have at least 2 items of a kind"}},
		{`{ contains: { const: 1 }, maxContains: 1 }`, `[1, 1]`, []string{"must have at most 1 items of a kind"}},
		{`{ prefixItems: [ { type: string } ], items: false }`, `[1, 2]`, []string{"/0 must be a string", "/1 is not allowed"}},
		{`{ minProperties: 1 }`, `{}`, []string{"must have at least 1 members"}},
		{`{ maxProperties: 1 }`, `{"a":1,"b":2}`, []string{"must have at most 1 members"}},
		{`{ required: [a, b/c] }`, `{}`, []string{"/a is required", "/b~1c is required"}},
		{`{ dependentRequired: { a: [b] } }`, `{"a":1}`, []string{`/b is required beside "a"`}},
		{`{ additionalProperties: false, properties: { a: true } }`, `{"a":1,"b":"secret"}`, []string{"/b is unknown"}},
		{`{ unevaluatedProperties: false }`, `{"b":"secret"}`, []string{"/b is not allowed"}},
		{`{ propertyNames: { maxLength: 2 } }`, `{"abc":"secret"}`, []string{"/abc has a name that is not allowed"}},
		{`{ properties: { a: { items: { properties: { b: { type: 'null' } } } } } }`, `{"a":[{},{"b":"secret"}]}`, []string{"/a/1/b must be null"}},
		{`{ anyOf: [ { type: string }, { type: 'null' } ] }`, `1`, []string{"fits none of the alternatives"}},
		{`{ oneOf: [ { type: string }, { type: 'null' } ] }`, `1`, []string{"fits none of the alternatives"}},
		{`{ oneOf: [ { type: number }, { type: integer } ] }`, `1`, []string{"fits more than one of the alternatives"}},
		{`{ allOf: [ { minimum: 2 }, { multipleOf: 2 } ] }`, `1`, []string{"must be a multiple of 2", "must be at least 2"}},
		{`{ not: { const: 1 } }`, `1`, []string{"is what the schema excludes"}},
		{`{ if: { required: [a] }, then: { required: [b] } }`, `{"a":1}`, []string{"/b is required"}},
		{`false`, `1`, []string{"is not allowed"}},
		{`true`, `{"a":`, []string{"must be one JSON value"}},
		{`true`, `1 2`, []string{"must be one JSON value"}},
		{`true`, ` `, []string{"must be one JSON value"}},
	}
	for _, tt := range tests {
		typ := compiled(t, tt.schema)
		var violations Violations
		if err := typ.Check([]byte(tt.data)); !errors.As(err, &violations) {
			t.Errorf("%s with %s: got %v, want %v", tt.schema, tt.data, err, tt.want)
			continue
		}
		var got []string
		for _, v := range violations {
			got = append(got, v.String())
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s with %s:\ngot  %q\nwant %q", tt.schema, tt.data, got, tt.want)
		}
		if strings.Contains(violations.Error(), "secret") {
			t.Errorf("%s with %s: a value is in %q", tt.schema, tt.data, violations)
		}
	}
}

// compiled returns a type with this schema and without an example.
func compiled(t testing.TB, schema string) *Type {
	t.Helper()
	n, f := yamltree.Read([]byte(schema))
	typ := new(Type)
	if f == nil {
		f = typ.setSchema(n)
	}
	if f != nil {
		t.Fatalf("schema %s: %s", schema, f.Reason)
	}
	return typ
}

func TestTypeThatTheCatalogueLacksIsNil(t *testing.T) {
	c := Builtin()
	if got := c.Type("payment.paid"); got != nil {
		t.Errorf("payment.paid: got %+v", got)
	}
	if err := c.Type("ticket.availability").Check([]byte(`{"available":9}`)); err != nil {
		t.Errorf("ticket.availability: got %v", err)
	}
}

func TestNumbersCountAsTheyAreWritten(t *testing.T) {
	tests := []struct {
		schema, data string
		fits         bool
	}{
		{`{ type: number }`, "1e400", true},
		{`{ type: integer }`, "1e400", true},
		{`{ type: integer, minimum: 0 }`, "1e400", true},
		{`{ type: integer, maximum: 0 }`, "-1e400", true},
		{`{ maximum: 999999999999999999999999999999 }`, "1e400", false},
		{`{ type: integer }`, "1e-400", false},
		{`{ exclusiveMinimum: 0 }`, "1e-400", true},
		{`{ exclusiveMaximum: 0 }`, "-1e-400", true},
		{`{ maximum: 1e-30 }`, "1e-400", true},
		{`{ const: 0 }`, "1e-400", false},
		{`{ const: 0 }`, "0e999999999999999999999", true},
		{`{ const: 0 }`, "-0.0", true},
		{`{ type: integer }`, "1e999999999999999999999", true},
		{`{ type: integer }`, "1e-999999999999999999999", false},
		{`{ type: integer }`, "9007199254740993", true},
		{`{ const: 9007199254740993 }`, "9007199254740993", true},
		{`{ const: 9007199254740993 }`, "9007199254740992", false},
		{`{ maximum: 9007199254740992 }`, "9007199254740993", false},
		{`{ type: integer }`, "1.0", true},
		{`{ type: integer }`, "10.50e1", true},
		{`{ type: integer }`, "1." + strings.Repeat("0", 1000) + "1", false},
		{`{ maximum: 1 }`, "1." + strings.Repeat("0", 1000) + "1", false},
		{`{ uniqueItems: true }`, "[1e63, 2e63]", true},
		{`{ multipleOf: 7 }`, "7e63", true},
		{`{ multipleOf: 7 }`, "8e63", false},
	}
	for _, tt := range tests {
		if err := compiled(t, tt.schema).Check([]byte(tt.data)); (err == nil) != tt.fits {
			t.Errorf("%s with %.40s: got %v, want fit %t", tt.schema, tt.data, err, tt.fits)
		}
	}
}

// No number of a schema may be able to tell a number from what it is replaced
// by.
func TestBoundedNumberIsOnItsSideOfEveryOther(t *testing.T) {
	texts := rapid.StringMatching(`-?(0|[1-9][0-9]{0,90})(\.[0-9]{1,90})?([eE][+-]?[0-9]{1,2})?`)
	bounds := rapid.StringMatching(`-?(0|[1-9][0-9]{0,29})(\.[0-9]{1,30})?`)
	rat := func(text string) *big.Rat {
		r, ok := new(big.Rat).SetString(text)
		if !ok {
			panic(text)
		}
		return r
	}
	rapid.Check(t, func(t *rapid.T) {
		text, bound := texts.Draw(t, "number"), bounds.Draw(t, "bound")
		if !isSmall(bound) {
			t.Fatalf("%s is refused in schemas", bound)
		}
		got := fmt.Sprint(bounded(json.Number(text)))
		if rat(got).Cmp(rat(bound)) != rat(text).Cmp(rat(bound)) || rat(got).IsInt() != rat(text).IsInt() || rat(got).Sign() != rat(text).Sign() {
			t.Errorf("%s became %s, which differs beside %s", text, got, bound)
		}
		if d := parseDecimal(got); len(d.digits)+d.exponent > wholeDigits+1 || -d.exponent > fractionDigits+1 {
			t.Errorf("%s became %s, which is out of bounds", text, got)
		}
	})
}

func TestHostileDataGetsAShortAnswer(t *testing.T) {
	const most = 256 << 10
	array := func(item string) string {
		n := most/(len(item)+1) - 1
		return "[" + strings.Repeat(item+",", n-1) + item + "]"
	}
	long := strings.Repeat("n", 10_000)
	tests := []struct{ name, schema, data string }{
		{"numbers without end", `{ items: { type: integer, minimum: 0, maximum: 9, multipleOf: 7 } }`, array("1e999999999")},
		{"numbers near zero", `{ items: { type: number, minimum: 1, multipleOf: 0.01 } }`, array("1e-999999999")},
		{"a number of many digits", `{ maximum: 1 }`, strings.Repeat("9", most)},
		{"a fraction of many digits", `{ type: integer }`, "0." + strings.Repeat("9", most)},
		{"values of an enum", `{ items: { enum: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] } }`, array("1e400")},
		{"wrong items", `{ items: { type: object, required: [a, b, c, d] } }`, array("{}")},
		{"alternatives", `{ items: { anyOf: [ { type: string }, { type: 'null' }, { required: [a] } ] } }`, array("{}")},
		{"equal items", `{ uniqueItems: true }`, array("[[1]]")},
		{"64 levels", `{ type: string }`, array(strings.Repeat("[", 63) + strings.Repeat("]", 63))},
		{"deep and closed", `{ additionalProperties: { additionalProperties: { additionalProperties: false } } }`,
			strings.Repeat(`{"`+long+`":`, 20) + "1" + strings.Repeat("}", 20)},
		{"names", `{ additionalProperties: false }`, `{"` + strings.Repeat(`a":1,"b`, 30_000) + `":1}`},
		{"invisible names", `{ additionalProperties: false }`, `{"a\u202eb":1,"` + long + `":1}`},
		{"a pattern", `{ pattern: '^(a+)+$' }`, `"` + strings.Repeat("a", most) + `!"`},
		{"a time", `{ format: date-time }`, `"2025-11-22T21:00:00.` + strings.Repeat("0", most) + `Z"`},
	}
	for _, tt := range tests {
		var violations Violations
		if err := compiled(t, tt.schema).Check([]byte(tt.data)); !errors.As(err, &violations) {
			t.Errorf("%s: got %v, want violations", tt.name, err)
			continue
		}
		text := violations.Error()
		if len(violations) > MaxViolations || len(text) > 4096 || strings.Contains(text, "nnnn") || strings.Contains(text, "\u202e") {
			t.Errorf("%s: %d violations in %d bytes: %.200q", tt.name, len(violations), len(text), text)
		}
	}
}

// A client that sends the same data again must get the same answer.
func TestViolationsAreTheSameEachTime(t *testing.T) {
	typ := compiled(t, `{ additionalProperties: { type: string } }`)
	var data strings.Builder
	for i := range 100 {
		fmt.Fprintf(&data, `,"m%d":1`, i)
	}
	first := typ.Check([]byte("{" + data.String()[1:] + "}")).Error()
	for range 20 {
		if got := typ.Check([]byte("{" + data.String()[1:] + "}")).Error(); got != first {
			t.Fatalf("got %s, then %s", first, got)
		}
	}
}

func FuzzCheckNeverTellsAValue(f *testing.F) {
	for _, typ := range Builtin().Types() {
		for _, e := range typ.Examples {
			f.Add([]byte(e.Data))
		}
	}
	f.Add([]byte(`{"available":-1e999999,"price":{"amount":1.5,"currency":"x"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, typ := range Builtin().Types() {
			err := typ.Check(data)
			var violations Violations
			if err != nil && (!errors.As(err, &violations) || len(violations) == 0 || len(violations) > MaxViolations || len(err.Error()) > 8192) {
				t.Errorf("%s with %q: got %v", typ.Name, data, err)
			}
		}
	})
}

// BenchmarkCheck is what the catalogue adds to publishing an event.
func BenchmarkCheck(b *testing.B) {
	for _, typ := range Builtin().Types() {
		for i, e := range typ.Examples {
			b.Run(fmt.Sprintf("%s/%d", typ.Name, i+1), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(e.Data)))
				for b.Loop() {
					if err := typ.Check(e.Data); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkCheckHostile is the worst that a publisher has been seen to cause.
func BenchmarkCheckHostile(b *testing.B) {
	typ := compiled(b, `{ items: { type: integer, minimum: 0, maximum: 9, multipleOf: 7 } }`)
	data := []byte("[" + strings.Repeat("1e999,", 43_000) + "1]")
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if typ.Check(data) == nil {
			b.Fatal("it fits")
		}
	}
}
