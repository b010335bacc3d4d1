package compat

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/paylogic/pushserver/api/catalog"
	"github.com/paylogic/pushserver/internal/yamltree"
)

// A Break is a change that merchants or publishers may not survive.
type Break struct {
	Type    string
	Pointer string // a JSON Pointer into the type's schema, references followed; "" is the type
	Detail  string // what changed
}

// String returns the break in one line.
func (b Break) String() string {
	return strings.Join(slices.DeleteFunc([]string{b.Type, b.Pointer, b.Detail}, func(s string) bool { return s == "" }), " ")
}

// Check returns what breaks if next replaces old, sorted by type and pointer.
func Check(old, next *catalog.Catalog) []Break { return check(old.Types(), next.Types()) }

func check(old, next []*catalog.Type) []Break {
	c := comparison{}
	for _, was := range old {
		c.name = was.Name
		i := slices.IndexFunc(next, func(t *catalog.Type) bool { return t.Name == was.Name })
		if i < 0 {
			c.note("", "was removed: merchants rely on it and publishers send it")
			continue
		}
		switch is := next[i]; {
		case was.State && !is.State:
			c.note("", "no longer has state: merchants rely on receiving the newest event of each subject first")
		case !was.State && is.State:
			c.note("", "now has state: merchants rely on receiving every event, and a slow reader gets only the newest")
		}
		c.schemas("", yamltree.Value(was.Tree), yamltree.Value(next[i].Tree), false)
	}
	slices.SortStableFunc(c.breaks, func(a, b Break) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Pointer, b.Pointer))
	})
	return c.breaks
}

type comparison struct {
	name   string // of the type
	breaks []Break
}

func (c *comparison) note(pointer, format string, args ...any) {
	c.breaks = append(c.breaks, Break{c.name, pointer, fmt.Sprintf(format, args...)})
}

var (
	// inner are keywords whose schemas are compared one by one. A member added
	// inside another keyword (not, if, contains, propertyNames) changes what the
	// schema accepts.
	inner = []string{"allOf", "anyOf", "oneOf", "then", "else", "items", "prefixItems", "unevaluatedItems",
		"patternProperties", "additionalProperties", "unevaluatedProperties", "dependentSchemas", "contentSchema"}

	// inPlace are the keywords of inner that apply to the same value.
	inPlace = []string{"allOf", "anyOf", "oneOf", "then", "else", "dependentSchemas"}

	// byDefault are keywords that may be absent instead of true.
	byDefault = []string{"items", "unevaluatedItems", "additionalProperties", "unevaluatedProperties", "propertyNames"}
)

// schemas compares what stands at one place: a schema, or a list or map of schemas.
// It is closed if a schema around it excludes members that no schema names.
func (c *comparison) schemas(at string, was, is any, closed bool) {
	old, oldMap := was.(map[string]any)
	next, nextMap := is.(map[string]any)
	if !oldMap || !nextMap {
		c.values(at, was, is, true, true)
		return
	}
	for _, schema := range []map[string]any{old, next} {
		unevaluated, given := schema["unevaluatedProperties"]
		closed = closed || given && unevaluated != true
	}
	additional, given := old["additionalProperties"]
	c.members(at+"/properties", old["properties"], next["properties"], func(name string) bool {
		return !closed && (!given || additional == true) && !covered(old["patternProperties"], name)
	})
	_, wasConst := old["const"]
	_, isConst := next["const"]
	old, next = normal(old), normal(next)
	for _, keyword := range names(old, next) {
		a, had := old[keyword]
		b, has := next[keyword]
		place := at + "/" + keyword
		if keyword == "enum" && (wasConst || isConst) {
			place = at + "/const"
		}
		switch {
		case keyword == "properties", strings.HasPrefix(keyword, "x-"), catalog.IsAnnotation(keyword):
		case had && has && slices.Contains(inner, keyword):
			c.below(place, keyword, a, b, closed && slices.Contains(inPlace, keyword))
		case slices.Contains(byDefault, keyword) && (!had || a == true) && (!has || b == true):
		default:
			c.values(place, a, b, had, has)
		}
	}
}

// below compares the schemas of a keyword.
func (c *comparison) below(at, keyword string, was, is any, closed bool) {
	old, listed := was.([]any)
	next, _ := is.([]any)
	switch {
	case keyword == "patternProperties", keyword == "dependentSchemas":
		c.members(at, was, is, func(string) bool { return false })
	case !listed:
		c.schemas(at, was, is, closed)
	case len(old) != len(next):
		c.note(at, "has %d schemas instead of %d", len(next), len(old))
	default:
		for i := range old {
			c.schemas(fmt.Sprintf("%s/%d", at, i), old[i], next[i], closed)
		}
	}
}

// members compares named schemas, of which some may be added.
func (c *comparison) members(at string, was, is any, addable func(name string) bool) {
	old, _ := was.(map[string]any)
	next, _ := is.(map[string]any)
	for _, name := range names(old, next) {
		a, had := old[name]
		b, has := next[name]
		place := at + "/" + yamltree.Escape.Replace(name)
		if had && has {
			c.schemas(place, a, b, false)
		} else if had || !addable(name) {
			c.values(place, a, b, had, has)
		}
	}
}

// values notes a break unless two values are the same.
func (c *comparison) values(at string, was, is any, had, has bool) {
	a, b := canonical(was), canonical(is)
	switch {
	case !has:
		c.note(at, "was removed")
	case !had:
		c.note(at, "was added")
	case a != b:
		c.note(at, "was %s and is %s", catalog.Shown(a), catalog.Shown(b))
	}
}

func covered(patterns any, name string) bool {
	schemas, _ := patterns.(map[string]any)
	for pattern := range schemas {
		if regexp.MustCompile(pattern).MatchString(name) { // the catalogue has compiled it
			return true
		}
	}
	return false
}

// normal returns a schema in which the order of enum, type and required does not
// matter, const is an enum, and number includes integer.
func normal(schema map[string]any) map[string]any {
	n := maps.Clone(schema)
	if only, has := n["const"]; has {
		n["enum"] = []any{only}
		delete(n, "const")
	}
	if kind, single := n["type"].(string); single {
		n["type"] = []any{kind}
	}
	for _, keyword := range []string{"enum", "type", "required"} {
		list, has := n[keyword].([]any)
		if !has {
			continue
		}
		list = slices.SortedFunc(slices.Values(list), func(a, b any) int { return cmp.Compare(canonical(a), canonical(b)) })
		if keyword == "type" && slices.Contains(list, any("number")) {
			list = slices.DeleteFunc(list, func(kind any) bool { return kind == "integer" })
		}
		if n[keyword] = list; keyword == "required" && len(list) == 0 {
			delete(n, keyword)
		}
	}
	return n
}

// names returns the names that either map has, sorted.
func names(a, b map[string]any) []string {
	return slices.Compact(slices.Sorted(func(yield func(string) bool) {
		for _, m := range []map[string]any{a, b} {
			for name := range m {
				if !yield(name) {
					return
				}
			}
		}
	}))
}

// canonical returns the one form that equal values share: 1.0 and 1 are the same
// number (JSON Schema Core 2020-12, 4.2.2).
func canonical(v any) string {
	switch v := v.(type) {
	case json.Number:
		r, _ := new(big.Rat).SetString(string(v)) // numbers of a schema are small
		digits, _ := r.FloatPrec()
		return r.FloatString(digits)
	case map[string]any:
		parts := make([]string, 0, len(v))
		for _, name := range names(v, nil) {
			parts = append(parts, string(yamltree.AppendString(nil, name))+":"+canonical(v[name]))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		parts := make([]string, len(v))
		for i, element := range v {
			parts[i] = canonical(element)
		}
		return "[" + strings.Join(parts, ",") + "]"
	case string:
		return string(yamltree.AppendString(nil, v))
	}
	return fmt.Sprint(v) // true, false, and <nil> for null
}
