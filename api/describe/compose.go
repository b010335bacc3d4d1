package describe

import (
	"go.yaml.in/yaml/v3"

	"github.com/paylogic/pushserver/api/catalog"
	"github.com/paylogic/pushserver/internal/yamltree"
)

// Schemas of the description that the types build on.
const (
	delivery = "Delivery"
	item     = "Item"
	envelope = "CloudEvent"
)

// suffixes name a type's own schemas: its data, its CloudEvent and its carriers.
var suffixes = []string{"Data", "Event", delivery, item}

// compose writes the types into a document and returns it. Without types it changes
// nothing: the general schemas remain.
func compose(root *yaml.Node, types []*catalog.Type, others bool) *yaml.Node {
	if len(types) == 0 {
		return root
	}
	schemas := yamltree.Find(root, "components", "schemas")
	unions := make(map[string][]string)
	for _, carrier := range []string{delivery, item} {
		var union []string
		for _, t := range types {
			union = append(union, t.Component()+carrier)
		}
		if others {
			union = append(union, carrier)
		}
		unions[componentPath+carrier] = union
	}
	spread(root, unions)
	for _, t := range types {
		yamltree.Set(schemas, t.Component()+"Data", dataSchema(t))
		yamltree.Set(schemas, t.Component()+"Event", eventSchema(t))
		yamltree.Set(schemas, t.Component()+delivery, deliverySchema(t, yamltree.Find(schemas, delivery)))
		yamltree.Set(schemas, t.Component()+item, itemSchema(t, yamltree.Find(schemas, item)))
	}
	for _, carrier := range []string{delivery, item} {
		if others {
			exclude(yamltree.Find(schemas, carrier, "properties", "event"), types)
		} else {
			yamltree.Delete(schemas, carrier)
		}
	}
	showExamples(root, types)
	return root
}

// spread replaces references to a union by its members.
func spread(n *yaml.Node, unions map[string][]string) {
	for key, value := range yamltree.Members(n) {
		switch union, refers := unions[refOf(value)]; {
		case refers:
			*value = *oneOf(union)
		case key.Value == "oneOf" && value.Kind == yaml.SequenceNode:
			value.Content = spreadOptions(value.Content, unions)
		default:
			spread(value, unions)
		}
	}
	for i, value := range yamltree.Elements(n) {
		if union, refers := unions[refOf(value)]; refers {
			n.Content[i] = oneOf(union)
		} else {
			spread(value, unions)
		}
	}
}

func spreadOptions(list []*yaml.Node, unions map[string][]string) []*yaml.Node {
	var options []*yaml.Node
	for _, option := range list {
		if union, refers := unions[refOf(option)]; refers {
			options = append(options, refsTo(union)...)
			continue
		}
		spread(option, unions)
		options = append(options, option)
	}
	return options
}

func refsTo(components []string) []*yaml.Node {
	nodes := make([]*yaml.Node, len(components))
	for i, name := range components {
		nodes[i] = refTo(name)
	}
	return nodes
}

func oneOf(components []string) *yaml.Node {
	if len(components) == 1 {
		return refTo(components[0])
	}
	return yamltree.Map("oneOf", yamltree.List(refsTo(components)...))
}

func refOf(n *yaml.Node) string {
	if ref := yamltree.Find(n, "$ref"); ref != nil {
		return ref.Value
	}
	return ""
}

// exclude keeps types with a schema of their own out of the general schema, so that
// an event matches one schema only.
func exclude(event *yaml.Node, types []*catalog.Type) {
	names := yamltree.List()
	for _, t := range types {
		names.Content = append(names.Content, yamltree.String(t.Name))
	}
	those := yamltree.Map("enum", names)
	if not := yamltree.Find(event, "not"); not != nil {
		those = yamltree.Map("anyOf", yamltree.List(not, those))
	}
	yamltree.Set(event, "not", those)
}
