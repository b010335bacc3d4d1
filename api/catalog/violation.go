package catalog

import (
	"github.com/paylogic/pushserver/internal/yamltree"

	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// MaxViolations bounds the length of [Violations].
const MaxViolations = 16

// Bounds of the texts in a violation, in bytes.
const (
	pointerMax = 200 // a pointer
	nameMax    = 40  // a member's name in it
	ruleMax    = 120 // a quotation from the schema
)

// A Violation says where data does not fit its schema.
type Violation struct {
	Pointer string // a JSON Pointer into the data (RFC 6901); "" is the whole
	Detail  string // what the schema requires: "must be an integer"
}

// String returns the violation in one line.
func (v Violation) String() string { return strings.TrimLeft(v.Pointer+" "+v.Detail, " ") }

// Violations are the first [MaxViolations] violations of some data, in the order of
// their pointers.
//
// They can be logged, and shown to the sender of the data: they contain none of its
// values, and only short, printable names.
type Violations []Violation

// Error implements error.
func (v Violations) Error() string {
	texts := make([]string, len(v))
	for i := range v {
		texts[i] = v[i].String()
	}
	return "catalog: data does not fit the schema: " + strings.Join(texts, "; ")
}

// violationsOf returns the violations in an error of the validator, at least one.
func violationsOf(err error) Violations {
	var found *jsonschema.ValidationError
	if !errors.As(err, &found) {
		return Violations{{Detail: "cannot be checked"}}
	}
	var v Violations
	v.collect(found)
	slices.SortFunc(v, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.Pointer, b.Pointer), cmp.Compare(a.Detail, b.Detail))
	})
	v = slices.Compact(v)
	return v[:min(len(v), MaxViolations)]
}

// collect adds the violations in an error and its causes.
func (v *Violations) collect(e *jsonschema.ValidationError) {
	at := e.InstanceLocation
	switch k := e.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.AllOf, *kind.Reference:
		for _, cause := range e.Causes {
			v.collect(cause)
		}
	case *kind.Required:
		for _, name := range k.Missing {
			v.add(at, name, "is required")
		}
	case *kind.DependentRequired:
		for _, name := range k.Missing {
			v.add(at, name, "is required beside "+brief(k.Prop))
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			v.add(at, name, "is unknown")
		}
	case *kind.PropertyNames:
		v.add(at, k.Property, "has a name that is not allowed")
	default:
		*v = append(*v, Violation{pointer(at), sentence(e.ErrorKind)})
	}
}

// add adds a violation at a member, or at its object if the name cannot be shown.
func (v *Violations) add(at []string, name, detail string) {
	place := pointer(append(slices.Clip(at), name))
	if place == pointer(at) {
		detail = "a member " + detail
	}
	*v = append(*v, Violation{place, detail})
}

// pointer returns a JSON Pointer, up to the first name that cannot be shown.
func pointer(tokens []string) string {
	var b strings.Builder
	for _, token := range tokens {
		if len(token) > nameMax || b.Len()+2*len(token)+1 > pointerMax || !printable(token) {
			break
		}
		b.WriteByte('/')
		b.WriteString(yamltree.Escape.Replace(token))
	}
	return b.String()
}

// sentence says what a rule requires. It contains nothing of the data.
func sentence(rule jsonschema.ErrorKind) string {
	switch k := rule.(type) {
	case *kind.Type:
		return "must be " + either(k.Want, func(name string) string { return typeWords[name] })
	case *kind.Enum:
		return allowed(k.Want)
	case *kind.Const:
		return allowed([]any{k.Want})
	case *kind.Format:
		return "must have the format " + k.Want
	case *kind.Pattern:
		return "must match the pattern " + brief(k.Want)
	case *kind.MinLength:
		return fmt.Sprintf("must have at least %d characters", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("must have at most %d characters", k.Want)
	case *kind.Minimum:
		return "must be at least " + number(k.Want)
	case *kind.Maximum:
		return "must be at most " + number(k.Want)
	case *kind.ExclusiveMinimum:
		return "must be more than " + number(k.Want)
	case *kind.ExclusiveMaximum:
		return "must be less than " + number(k.Want)
	case *kind.MultipleOf:
		return "must be a multiple of " + number(k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("must have at least %d items", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %d items", k.Want)
	case *kind.UniqueItems:
		return fmt.Sprintf("must not contain equal items: items %d and %d are equal", k.Duplicates[0], k.Duplicates[1])
	case *kind.Contains:
		return "lacks a required item"
	case *kind.MinContains:
		return fmt.Sprintf("must have at least %d items of a kind", k.Want)
	case *kind.MaxContains:
		return fmt.Sprintf("must have at most %d items of a kind", k.Want)
	case *kind.MinProperties:
		return fmt.Sprintf("must have at least %d members", k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("must have at most %d members", k.Want)
	case *kind.AnyOf:
		return "fits none of the alternatives"
	case *kind.OneOf:
		if len(k.Subschemas) > 0 {
			return "fits more than one of the alternatives"
		}
		return "fits none of the alternatives"
	case *kind.Not:
		return "is what the schema excludes"
	case *kind.FalseSchema:
		return "is not allowed"
	}
	return "does not fit the schema"
}

var typeWords = map[string]string{
	"null": "null", "boolean": "a boolean", "number": "a number", "integer": "an integer",
	"string": "a string", "array": "an array", "object": "an object",
}

// allowed lists the allowed values, if they are few.
func allowed(values []any) string {
	text := either(values, func(value any) string {
		text, err := json.Marshal(value)
		if err != nil {
			return strings.Repeat("?", ruleMax) // too long to be shown, at least
		}
		return string(text)
	})
	if len(text) > ruleMax || !printable(text) {
		return "must be one of the values that the schema allows"
	}
	return "must be " + text
}

// either joins words: "a, b or c".
func either[T any](list []T, word func(T) string) string {
	var b strings.Builder
	for i, item := range list {
		switch {
		case i == 0:
		case i == len(list)-1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(word(item))
	}
	return b.String()
}

// number needs a number of a schema: those have few digits.
func number(r *big.Rat) string {
	digits, _ := r.FloatPrec()
	return r.FloatString(digits)
}

// brief quotes a text of a schema, at most 120 bytes of it.
func brief(s string) string { return clip(strconv.QuoteToGraphic(s)) }

// Shown returns JSON of a schema in a form that can be printed: at most 120 bytes.
func Shown(value string) string {
	if !printable(value) {
		return brief(value)
	}
	return clip(value)
}

func clip(s string) string {
	if len(s) <= ruleMax {
		return s
	}
	cut := ruleMax
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
