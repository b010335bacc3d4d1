package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"go.yaml.in/yaml/v3"
)

// A Composer writes the types of a catalogue into the description of the API,
// an OpenAPI 3.2 document.
//
// Where that one says Delivery (something happened, as a server-sent event) or
// Item (the same as a JSON object), the composed one has a schema for each type,
// with the type as a constant and the schema of its data, and last the general
// one for all other types. Streams get the examples of the types as they are
// on the wire.
type Composer struct {
	base   *yaml.Node
	types  []*Type
	others bool

	mu    sync.Mutex // guards the following
	cache map[string]*Description
}

// A Description is a composed document in the forms in which it is served. What
// is written is the same whenever the same types are.
type Description struct {
	YAML   []byte
	JSON   []byte
	JSON31 []byte // in OpenAPI 3.1: see [Composer.Describe]
}

// descriptionsMax is how many descriptions are kept, of a quarter of a
// megabyte each. Most keys see the same types as many others.
const descriptionsMax = 32

// NewComposer returns a composer of a document and a catalogue. With others,
// events of types that are not in the catalogue are described as well.
//
// It fails if the types cannot be written into the document: it lacks a schema
// that they build on, or has one of the same name.
func NewComposer(document []byte, c *Catalog, others bool) (*Composer, error) {
	base, f := readNode(document)
	if f != nil {
		return nil, fmt.Errorf("read the description: line %d: %s", f.line, f.reason)
	}
	composer := &Composer{base: base, types: c.types, others: others, cache: make(map[string]*Description)}
	schemas := find(base, "components", "schemas")
	for _, needed := range []string{delivery, item, cloudEvent} {
		if find(schemas, needed) == nil {
			return nil, errors.New("the description has no schema " + needed)
		}
	}
	for _, t := range composer.types {
		for _, suffix := range suffixes {
			if find(schemas, t.component()+suffix) != nil {
				return nil, fmt.Errorf("choose another name for the type %s: the description has a schema %s of its own", t.Name, t.component()+suffix)
			}
		}
	}
	return composer, nil
}

// Describe returns the description with those types for which visible is true.
// Callers share it and must not change it.
//
// OpenAPI 3.1 has no itemSchema. Tools that know streams of events read the
// schema of one event where it has schema, so that is where it stands in this
// form; the examples, which are no JSON, are in the text of the response.
func (c *Composer) Describe(visible func(name string) bool) *Description {
	var types []*Type
	key := make([]byte, len(c.types))
	for i, t := range c.types {
		if visible(t.Name) {
			types = append(types, t)
			key[i] = 1
		}
	}
	c.mu.Lock()
	d := c.cache[string(key)]
	c.mu.Unlock()
	if d != nil {
		return d
	}
	d = c.describe(types)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.cache) >= descriptionsMax {
		clear(c.cache)
	}
	c.cache[string(key)] = d
	return d
}

func (c *Composer) describe(types []*Type) *Description {
	root := compose(clone(c.base), types, c.others)
	d := &Description{JSON: appendJSON(nil, root)}
	var text bytes.Buffer
	enc := yaml.NewEncoder(&text)
	enc.SetIndent(2)
	err := enc.Encode(root)
	if err == nil {
		err = enc.Close()
	}
	if err != nil {
		panic("catalog: write the description: " + err.Error())
	}
	d.YAML = text.Bytes()
	d.JSON31 = appendJSON(nil, downgrade(root))
	return d
}

// Schemas of the description that the types build on.
const (
	delivery   = "Delivery"
	item       = "Item"
	cloudEvent = "CloudEvent"
)

// suffixes are those of a type's own schemas: its data, its CloudEvent and what
// carries that.
var suffixes = []string{"Data", "Event", delivery, item}

// compose writes the types into a document, which it returns. Without any, it
// stays as it is: what a list has in it must be described somehow.
func compose(root *yaml.Node, types []*Type, others bool) *yaml.Node {
	if len(types) == 0 {
		return root
	}
	schemas := find(root, "components", "schemas")
	unions := make(map[string][]string)
	for _, carrier := range []string{delivery, item} {
		var union []string
		for _, t := range types {
			union = append(union, t.component()+carrier)
		}
		if others {
			union = append(union, carrier)
		}
		unions[componentPath+carrier] = union
	}
	spread(root, unions)
	recast{types}.document(root)
	for _, t := range types {
		set(schemas, t.component()+"Data", t.dataNode())
		set(schemas, t.component()+"Event", t.eventNode())
		set(schemas, t.component()+delivery, t.deliveryNode(find(schemas, delivery)))
		set(schemas, t.component()+item, t.itemNode(find(schemas, item)))
	}
	for _, carrier := range []string{delivery, item} {
		if others {
			exclude(find(schemas, carrier, "properties", "event"), types)
		} else {
			drop(schemas, carrier)
		}
	}
	showExamples(root, types)
	return root
}

// spread puts the members of a union in the places of references to it.
func spread(n *yaml.Node, unions map[string][]string) {
	for key, value := range members(n) {
		switch union, refers := unions[refOf(value)]; {
		case refers:
			*value = *oneOf(union)
		case key.Value == "oneOf" && value.Kind == yaml.SequenceNode:
			value.Content = spreadOptions(value.Content, unions)
		default:
			spread(value, unions)
		}
	}
	for i, value := range elements(n) {
		if union, refers := unions[refOf(value)]; refers {
			n.Content[i] = oneOf(union)
		} else {
			spread(value, unions)
		}
	}
}

// spreadOptions makes options of a union's members.
func spreadOptions(list []*yaml.Node, unions map[string][]string) []*yaml.Node {
	var options []*yaml.Node
	for _, option := range list {
		if union, refers := unions[refOf(option)]; refers {
			options = append(options, refNodes(union)...)
			continue
		}
		spread(option, unions)
		options = append(options, option)
	}
	return options
}

func refNodes(components []string) []*yaml.Node {
	nodes := make([]*yaml.Node, len(components))
	for i, name := range components {
		nodes[i] = refNode(name)
	}
	return nodes
}

// oneOf returns the schema of a union.
func oneOf(components []string) *yaml.Node {
	if len(components) == 1 {
		return refNode(components[0])
	}
	return mapNode("oneOf", listNode(refNodes(components)...))
}

// refOf returns where a schema refers to, or "".
func refOf(n *yaml.Node) string {
	if ref := find(n, "$ref"); ref != nil {
		return ref.Value
	}
	return ""
}

// exclude makes the general schema's event none of the types that have a schema
// of their own.
func exclude(event *yaml.Node, types []*Type) {
	names := listNode()
	for _, t := range types {
		names.Content = append(names.Content, textNode(t.Name))
	}
	those := mapNode("enum", names)
	if not := find(event, "not"); not != nil {
		those = mapNode("anyOf", listNode(not, those))
	}
	set(event, "not", those)
}

// dataNode returns the schema of the type's data.
func (t *Type) dataNode() *yaml.Node {
	n := clone(t.schema)
	if n.Kind != yaml.MappingNode {
		n = mapNode("allOf", listNode(n))
	}
	if find(n, "title") == nil {
		set(n, "title", textNode("Data of "+t.Name))
	}
	if find(n, "examples") == nil {
		examples := listNode()
		for _, e := range t.Examples {
			examples.Content = append(examples.Content, clone(e.data))
		}
		set(n, "examples", examples)
	}
	return n
}

// eventNode returns the schema of the type's CloudEvents.
func (t *Type) eventNode() *yaml.Node {
	own := mapNode("type", "object", "properties", mapNode(
		"type", mapNode("type", "string", "const", t.Name),
		"data", t.valueNode(),
	))
	if !t.State {
		set(own, "required", listNode(textNode("data")))
	}
	return t.described(mapNode("allOf", listNode(refNode(cloudEvent), own)))
}

// valueNode returns the schema of what can stand in data: of a state-like type
// also null, which takes the subject's state back.
func (t *Type) valueNode() *yaml.Node {
	data := refNode(t.component() + "Data")
	if !t.State {
		return data
	}
	return mapNode("anyOf", listNode(data, mapNode("type", "null", "description", "The subject is gone.")))
}

// deliveryNode returns the schema of the server-sent event that carries the type.
func (t *Type) deliveryNode(general *yaml.Node) *yaml.Node {
	n := t.carrier(general)
	set(find(n, "properties", "data"), "contentSchema", t.contentNode())
	return n
}

// itemNode returns the schema of the JSON object that carries the type.
func (t *Type) itemNode(general *yaml.Node) *yaml.Node {
	n := t.carrier(general)
	set(find(n, "properties"), "data", t.contentNode())
	return n
}

func (t *Type) carrier(general *yaml.Node) *yaml.Node {
	n := t.described(clone(general))
	set(find(n, "properties"), "event", mapNode("type", "string", "const", t.Name))
	return n
}

// contentNode returns the schema of what is carried.
func (t *Type) contentNode() *yaml.Node {
	return mapNode(
		"description", "The CloudEvent, or with `envelope=data` the event's data alone.",
		"anyOf", listNode(refNode(t.component()+"Event"), t.valueNode()),
	)
}

// described gives a schema the words of the type.
func (t *Type) described(n *yaml.Node) *yaml.Node {
	set(n, "title", textNode(t.Title))
	set(n, "description", textNode(t.Description))
	if t.Deprecated {
		set(n, "deprecated", boolNode(true))
	}
	return n
}
