package catalog

import (
	"github.com/paylogic/pushserver/internal/yamltree"

	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// schemasMax bounds the schemas within one schema, references followed, and so the
// schemas tried for one value.
const schemasMax = 1000

// A shape is the kind of value that a keyword has.
type shape uint8

const (
	plainValue shape = iota
	oneSchema        // a schema
	listed           // schemas in a list
	named            // schemas by names
)

// keywords are those of JSON Schema 2020-12 that a schema may have.
var keywords = map[string]shape{
	"title": plainValue, "description": plainValue, "default": plainValue, "examples": plainValue,
	"deprecated": plainValue, "readOnly": plainValue, "writeOnly": plainValue,

	"type": plainValue, "enum": plainValue, "const": plainValue, "format": plainValue,
	"allOf": listed, "anyOf": listed, "oneOf": listed, "not": oneSchema,
	"if": oneSchema, "then": oneSchema, "else": oneSchema,

	"minimum": plainValue, "maximum": plainValue, "multipleOf": plainValue,
	"exclusiveMinimum": plainValue, "exclusiveMaximum": plainValue,
	"minLength": plainValue, "maxLength": plainValue, "pattern": plainValue,
	"contentEncoding": plainValue, "contentMediaType": plainValue, "contentSchema": oneSchema,

	"items": oneSchema, "prefixItems": listed, "unevaluatedItems": oneSchema,
	"minItems": plainValue, "maxItems": plainValue, "uniqueItems": plainValue,
	"contains": oneSchema, "minContains": plainValue, "maxContains": plainValue,

	"properties": named, "patternProperties": named, "additionalProperties": oneSchema,
	"unevaluatedProperties": oneSchema, "propertyNames": oneSchema,
	"required": plainValue, "minProperties": plainValue, "maxProperties": plainValue,
	"dependentRequired": plainValue, "dependentSchemas": named,
}

const draft = "https://json-schema.org/draft/2020-12/schema"

// formats are the formats that are asserted. The library implements those without a
// function.
var formats = map[string]func(string) bool{
	"date-time": isDateTime,
	"date":      func(s string) bool { _, err := time.Parse(time.DateOnly, s); return err == nil },
	"time":      nil, "duration": nil, "uuid": nil, "uri": nil, "uri-reference": nil,
	"email": nil, "hostname": nil, "ipv4": nil, "ipv6": nil,
}

func isDateTime(s string) bool {
	const longest = 64 // bytes; RFC 3339 does not bound the digits of a second
	var t time.Time
	return len(s) <= longest && t.UnmarshalText([]byte(s)) == nil
}

func (t *Type) setSchema(n *yaml.Node) *yamltree.Fault {
	if dialect := yamltree.Find(n, "$schema"); dialect != nil && dialect.Value != draft {
		return yamltree.FaultAt(dialect, "$schema must be %s, or be left out", draft)
	}
	r := resolver{defs: yamltree.Find(n, "$defs")}
	schema, f := r.resolve(n, true)
	if f != nil {
		return f
	}
	t.Tree = schema

	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(nothing{})
	c.AssertFormat()
	for name, valid := range formats {
		if valid != nil {
			c.RegisterFormat(&jsonschema.Format{Name: name, Validate: asserted(valid)})
		}
	}
	const address = "catalog:/schema"
	err := c.AddResource(address, yamltree.Value(schema))
	if err == nil {
		t.compiled, err = c.Compile(address)
	}
	var broken *jsonschema.SchemaValidationError
	var causes *jsonschema.ValidationError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &broken) && errors.As(broken.Err, &causes):
		first := violationsOf(causes)[0]
		return yamltree.FaultAt(yamltree.Locate(schema, first.Pointer), "not a valid JSON Schema: %s", first)
	}
	return yamltree.FaultAt(n, "%v", err)
}

func asserted(valid func(string) bool) func(any) error {
	return func(v any) error {
		if s, ok := v.(string); ok && !valid(s) {
			return errors.New("it is not")
		}
		return nil
	}
}

// nothing is a loader that loads nothing.
type nothing struct{}

// Load implements [jsonschema.URLLoader].
func (nothing) Load(string) (any, error) { return nil, errors.New("nothing is ever fetched") }

// A resolver replaces references by the schemas that they refer to.
type resolver struct {
	defs  *yaml.Node
	open  []string // the references that are being followed
	count int
}

// resolve returns a copy of a schema without $ref, $defs, $schema and $comment. It
// returns a fault for what this package does not accept; the compiler checks the
// schema against its metaschema.
func (r *resolver) resolve(n *yaml.Node, root bool) (*yaml.Node, *yamltree.Fault) {
	if r.count++; r.count > schemasMax {
		return nil, yamltree.FaultAt(n, "there are more than %d schemas in each other, references followed", schemasMax)
	}
	if n.Kind != yaml.MappingNode {
		return yamltree.Clone(n), nil // true or false, or an error of the compiler
	}
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: n.Line}
	var target *yaml.Node
	for key, value := range yamltree.Members(n) {
		var f *yamltree.Fault
		switch name := key.Value; {
		case name == "$comment", root && (name == "$defs" || name == "$schema"):
			continue
		case name == "$ref":
			if target, f = r.follow(value); f != nil {
				return nil, f
			}
			continue
		case strings.HasPrefix(name, "x-"):
			value, f = yamltree.Clone(value), smallNumbers(value)
		default:
			value, f = r.keyword(key, value)
		}
		if f != nil {
			return nil, f
		}
		out.Content = append(out.Content, yamltree.Clone(key), value)
	}
	switch {
	case target == nil:
		return out, nil
	case describes(out) && target.Kind == yaml.MappingNode:
		for key, value := range yamltree.Members(out) {
			yamltree.Set(target, key.Value, value)
		}
		return target, nil
	}
	// Both hold (JSON Schema Core 2020-12, 8.2.3.1).
	return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: n.Line,
		Content: []*yaml.Node{yamltree.String("allOf"), yamltree.List(target, out)}}, nil
}

var annotations = []string{"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"}

// IsAnnotation reports whether a keyword only describes: no data violates it.
func IsAnnotation(keyword string) bool { return slices.Contains(annotations, keyword) }

// describes reports whether a schema accepts everything and only describes it.
func describes(n *yaml.Node) bool {
	for key := range yamltree.Members(n) {
		if !IsAnnotation(key.Value) {
			return false
		}
	}
	return true
}

// keyword returns a copy of a keyword's value.
func (r *resolver) keyword(key, value *yaml.Node) (*yaml.Node, *yamltree.Fault) {
	form, known := keywords[key.Value]
	switch {
	case strings.HasPrefix(key.Value, "$"):
		return nil, yamltree.FaultAt(key, "%s is not taken here; $ref and, at the top, $defs are", key.Value)
	case !known:
		return nil, yamltree.FaultAt(key, "%s is not a JSON Schema keyword; names of your own begin with x-", key.Value)
	case key.Value == "format":
		if _, known := formats[value.Value]; !known {
			return nil, yamltree.FaultAt(value, "the format %s is not supported; supported formats: %s",
				value.Value, strings.Join(slices.Sorted(maps.Keys(formats)), ", "))
		}
	case form == oneSchema:
		return r.resolve(value, false)
	case form == listed && value.Kind == yaml.SequenceNode, form == named && value.Kind == yaml.MappingNode:
		out := *value
		out.Content = make([]*yaml.Node, len(value.Content))
		for i, child := range value.Content {
			if form == named && i%2 == 0 {
				out.Content[i] = yamltree.Clone(child)
				continue
			}
			var f *yamltree.Fault
			if out.Content[i], f = r.resolve(child, false); f != nil {
				return nil, f
			}
		}
		return &out, nil
	}
	if f := smallNumbers(value); f != nil {
		return nil, f
	}
	return yamltree.Clone(value), nil
}

// follow returns a copy of the schema that a reference leads to.
func (r *resolver) follow(ref *yaml.Node) (*yaml.Node, *yamltree.Fault) {
	name, local := strings.CutPrefix(ref.Value, "#/$defs/")
	target := yamltree.Find(r.defs, yamltree.Unescape.Replace(name))
	switch {
	case !local:
		return nil, yamltree.FaultAt(ref, "$ref must lead to #/$defs/… of the same schema: nothing is ever fetched")
	case target == nil:
		return nil, yamltree.FaultAt(ref, "$ref leads to nothing: there is no %s", ref.Value)
	case slices.Contains(r.open, name):
		return nil, yamltree.FaultAt(ref, "$ref leads in a circle: data must end somewhere")
	}
	r.open = append(r.open, name)
	out, f := r.resolve(target, false)
	r.open = r.open[:len(r.open)-1]
	return out, f
}

// smallNumbers returns a fault at a number that a check cannot tell from others; see
// [bounded].
func smallNumbers(n *yaml.Node) *yamltree.Fault {
	if v, _ := yamltree.Scalar(n); n.Kind == yaml.ScalarNode {
		if number, ok := v.(json.Number); ok && !isSmall(string(number)) {
			return yamltree.FaultAt(n, "a number must be less than 10^%d and have at most %d digits behind its point", schemaDigits, schemaDigits)
		}
	}
	for _, child := range n.Content {
		if f := smallNumbers(child); f != nil {
			return f
		}
	}
	return nil
}
