package catalog

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// A Break is a change of a type that somebody may not survive.
type Break struct {
	Type    string
	Pointer string // a JSON Pointer into the type's schema, references followed; "" is the type
	Detail  string // what has changed, and for whom
}

// String returns the break in one line.
func (b Break) String() string {
	return strings.Join(slices.DeleteFunc([]string{b.Type, b.Pointer, b.Detail}, func(s string) bool { return s == "" }), " ")
}

// Compatible returns what breaks if next takes the place of old: nothing, if
// everybody who gets along with old gets along with next.
//
// A schema is a promise in two directions. Publishers were told what is
// accepted: to them it must not become less. Merchants were told what they
// receive: to them it must not become more. A change that is fine for one side is
// mostly a break for the other, so a schema can hardly be changed at all, except
// where one side was asked to expect it:
//
//   - A type may be added: merchants ignore types that they do not know.
//   - A member that need not be there may be added to an object, unless the schema
//     had excluded members that it does not name. Merchants ignore those that they
//     do not know, and publishers send none that is not described.
//   - What only describes may change: titles, descriptions, examples, defaults and
//     deprecation.
//
// All else counts as a break:
//
//   - A type or a member that goes away: somebody reads it.
//   - A member that becomes required: publishers leave it out. One that is no longer
//     required: merchants rely on it.
//   - A value that is added to an enum, a bound that is loosened, a kind of value that
//     is added: merchants have no case for it. One that is taken away or tightened:
//     publishers send it.
//   - state, in both directions: a state-like type is kept for newcomers, and of its
//     events a slow reader gets the newest alone.
//
// To change more, add a member or a type beside the old one, deprecate that one,
// and take it away when nobody relies on it any more. Schemas are compared as they
// are written, after their references: two that mean the same in other words
// count as different.
func Compatible(old, next *Catalog) []Break {
	c := comparison{breaks: []Break{}}
	for _, was := range old.types {
		c.name = was.Name
		is := next.byName[was.Name]
		switch {
		case is == nil:
			c.note("", "was removed: merchants rely on it and publishers send it")
			continue
		case was.State && !is.State:
			c.note("", "no longer has state: merchants rely on receiving the newest event of each subject first")
		case !was.State && is.State:
			c.note("", "now has state: merchants rely on receiving every event, and a slow reader gets the newest alone")
		}
		c.schemas("", decoded(was.schema), decoded(is.schema), false)
	}
	slices.SortStableFunc(c.breaks, func(a, b Break) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Pointer, b.Pointer))
	})
	return c.breaks
}

// A comparison of two catalogues.
type comparison struct {
	name   string // of the type that is being compared
	breaks []Break
}

func (c *comparison) note(pointer, format string, args ...any) {
	c.breaks = append(c.breaks, Break{c.name, pointer, fmt.Sprintf(format, args...)})
}

const (
	toPublishers = "publishers may send it"
	toMerchants  = "merchants were told not to expect it"
)

// schemas compares two schemas. It is closed if a schema around it excludes
// members that no schema names.
func (c *comparison) schemas(at string, was, is any, closed bool) {
	old, next, ok := objects(was, is)
	if !ok {
		if !same(was, is) {
			c.note(at, "was changed")
		}
		return
	}
	for _, member := range []map[string]any{old, next} {
		excluding, given := member["unevaluatedProperties"]
		closed = closed || given && excluding != true
	}
	c.kinds(at, old, next)
	c.values(at, old, next)
	c.required(at, old, next)
	c.properties(at, old, next, closed)
	for keyword := range all(old, next) {
		form := keywords[keyword]
		a, had := old[keyword]
		b, has := next[keyword]
		place := at + "/" + keyword
		switch {
		case strings.HasPrefix(keyword, "x-"), slices.Contains(annotations, keyword), slices.Contains(compared, keyword):
		case had && has && slices.Contains(inner, keyword):
			// Around a value of its own, nothing is closed any more.
			c.below(place, form, a, b, closed && slices.Contains(inPlace, keyword))
		case had && has && same(a, b), slices.Contains(open, keyword) && (!had || a == true) && (!has || b == true):
		case had && has:
			c.changed(place, keyword, a, b)
		case had:
			c.note(place, "was removed: merchants rely on it")
		default:
			c.note(place, "was added: publishers do not follow it")
		}
	}
}

var (
	// compared are keywords with a comparison of their own.
	compared = []string{"type", "enum", "const", "required", "properties"}

	// inner are those whose schemas are compared one by one. What the others
	// have in them (not, if, contains, propertyNames) turns an added member
	// into something else.
	inner = []string{"allOf", "anyOf", "oneOf", "then", "else", "items", "prefixItems", "unevaluatedItems",
		"patternProperties", "additionalProperties", "unevaluatedProperties", "dependentSchemas", "contentSchema"}

	// open are those where true says what nothing says as well.
	open = []string{"items", "unevaluatedItems", "additionalProperties", "unevaluatedProperties", "propertyNames"}

	// inPlace are those of inner that speak of the same value.
	inPlace = []string{"allOf", "anyOf", "oneOf", "then", "else", "dependentSchemas"}
)

// below compares the schemas behind a keyword.
func (c *comparison) below(at string, form shape, was, is any, closed bool) {
	switch form {
	case oneSchema:
		c.schemas(at, was, is, closed)
	case listed:
		old, next := was.([]any), is.([]any)
		if len(old) != len(next) {
			c.note(at, "has %d schemas instead of %d", len(next), len(old))
			return
		}
		for i := range old {
			c.schemas(fmt.Sprintf("%s/%d", at, i), old[i], next[i], closed)
		}
	case named:
		old, next, _ := objects(was, is)
		for name := range all(old, next) {
			place := at + "/" + escape.Replace(name)
			a, had := old[name]
			b, has := next[name]
			switch {
			case had && has:
				c.schemas(place, a, b, closed)
			case had:
				c.note(place, "was removed: merchants rely on it")
			default:
				c.note(place, "was added: publishers do not follow it")
			}
		}
	}
}

// kinds compares which kinds of values there can be.
func (c *comparison) kinds(at string, old, next map[string]any) {
	was, is := kindsOf(old), kindsOf(next)
	for _, kind := range slices.Sorted(maps.Keys(typeWords)) {
		switch {
		case was[kind] && !is[kind]:
			c.note(at+"/type", "%s is no longer accepted: %s", typeWords[kind], toPublishers)
		case !was[kind] && is[kind]:
			c.note(at+"/type", "%s is accepted now: %s", typeWords[kind], toMerchants)
		}
	}
}

// kindsOf returns the kinds that a schema allows, where number is what is no
// integer.
func kindsOf(schema map[string]any) map[string]bool {
	kinds := make(map[string]bool)
	switch t := schema["type"].(type) {
	case nil:
		for kind := range typeWords {
			kinds[kind] = true
		}
	case string:
		kinds[t] = true
	case []any:
		for _, kind := range t {
			kinds[kind.(string)] = true
		}
	}
	if kinds["number"] {
		kinds["integer"] = true
	}
	return kinds
}

// values compares enums. A const is an enum of one value.
func (c *comparison) values(at string, old, next map[string]any) {
	was, had := valuesOf(old)
	is, has := valuesOf(next)
	place := at + "/enum"
	if _, is := next["const"]; is {
		place = at + "/const"
	}
	switch {
	case had && !has:
		c.note(place, "was removed: merchants were told to expect only the listed values")
		return
	case !had && has:
		c.note(place, "was added: publishers may send other values")
		return
	}
	for _, value := range slices.Sorted(maps.Keys(was)) {
		if !is[value] {
			c.note(place, "%s is no longer accepted: %s", shown(value), toPublishers)
		}
	}
	for _, value := range slices.Sorted(maps.Keys(is)) {
		if !was[value] {
			c.note(place, "%s is accepted now: %s", shown(value), toMerchants)
		}
	}
}

func valuesOf(schema map[string]any) (values map[string]bool, limited bool) {
	list, hasEnum := schema["enum"].([]any)
	only, hasConst := schema["const"]
	if hasConst {
		list = []any{only}
	}
	values = make(map[string]bool)
	for _, value := range list {
		values[canonical(value)] = true
	}
	return values, hasEnum || hasConst
}

// required compares which members must be there.
func (c *comparison) required(at string, old, next map[string]any) {
	was, is := namesOf(old["required"]), namesOf(next["required"])
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if !is[name] && !removed(old, next, name) {
			c.note(at+"/required", "%s may be missing now: merchants rely on it", brief(name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if !was[name] {
			c.note(at+"/required", "%s is now required, but publishers may leave it out", brief(name))
		}
	}
}

// removed reports whether a member that was described no longer is, which is
// said elsewhere.
func removed(old, next map[string]any, name string) bool {
	was, _ := old["properties"].(map[string]any)
	is, _ := next["properties"].(map[string]any)
	_, had := was[name]
	_, has := is[name]
	return had && !has
}

// properties compares the members that are described.
func (c *comparison) properties(at string, old, next map[string]any, closed bool) {
	was, _ := old["properties"].(map[string]any)
	is, _ := next["properties"].(map[string]any)
	if additional, given := old["additionalProperties"]; given && additional != true {
		closed = true
	}
	for name := range all(was, is) {
		place := at + "/properties/" + escape.Replace(name)
		a, had := was[name]
		b, has := is[name]
		switch {
		case had && has:
			c.schemas(place, a, b, false)
		case had:
			c.note(place, "was removed: merchants rely on it")
		case closed:
			c.note(place, "was added: merchants were told to expect only the named members")
		case matchesAny(old["patternProperties"], name):
			c.note(place, "was added: publishers may send it as the pattern of its name allows")
		}
	}
}

func matchesAny(patterns any, name string) bool {
	named, _ := patterns.(map[string]any)
	for pattern := range named {
		if regexp.MustCompile(pattern).MatchString(name) { // the compiler has read it
			return true
		}
	}
	return false
}

// changed notes that a keyword has another value, and for whom that is a break.
func (c *comparison) changed(place, keyword string, was, is any) {
	a, _ := was.(json.Number)
	b, _ := is.(json.Number)
	x, numeric := new(big.Rat).SetString(string(a))
	y, also := new(big.Rat).SetString(string(b))
	if !numeric || !also || keyword == "multipleOf" {
		c.note(place, "was %s and is %s", shown(canonical(was)), shown(canonical(is)))
		return
	}
	lower := strings.HasPrefix(keyword, "min") || keyword == "exclusiveMinimum"
	if (y.Cmp(x) > 0) == lower {
		c.note(place, "was tightened from %s to %s: publishers may go beyond it", a, b)
	} else {
		c.note(place, "was loosened from %s to %s: merchants were told not to expect it", a, b)
	}
}

func namesOf(list any) map[string]bool {
	names := make(map[string]bool)
	elements, _ := list.([]any)
	for _, name := range elements {
		names[name.(string)] = true
	}
	return names
}

func objects(a, b any) (x, y map[string]any, ok bool) {
	x, first := a.(map[string]any)
	y, second := b.(map[string]any)
	return x, y, first && second
}

// all returns the names that either has, sorted.
func all(a, b map[string]any) func(func(string) bool) {
	names := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(names)
	return slices.Values(slices.Compact(names))
}

func same(a, b any) bool { return canonical(a) == canonical(b) }

// canonical returns a value in the one form that equal values share: 1.0 and 1
// are the same number (JSON Schema Core 2020-12, 4.2.2).
func canonical(v any) string {
	switch v := v.(type) {
	case json.Number:
		r, _ := new(big.Rat).SetString(string(v)) // a number of a schema is small
		return number(r)
	case map[string]any:
		b := []byte{'{'}
		for name := range all(v, nil) {
			b = append(append(appendText(b, name), ':'), canonical(v[name])...)
			b = append(b, ',')
		}
		return string(append(bytes.TrimSuffix(b, []byte(",")), '}'))
	case []any:
		b := []byte{'['}
		for _, element := range v {
			b = append(append(b, canonical(element)...), ',')
		}
		return string(append(bytes.TrimSuffix(b, []byte(",")), ']'))
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic("catalog: a schema is no JSON: " + err.Error())
	}
	return string(text)
}
