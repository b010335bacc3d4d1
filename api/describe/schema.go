package describe

import (
	"go.yaml.in/yaml/v3"

	"github.com/paylogic/pushserver/api/catalog"
	"github.com/paylogic/pushserver/internal/yamltree"
)

func dataSchema(t *catalog.Type) *yaml.Node {
	n := yamltree.Clone(t.Tree)
	if n.Kind != yaml.MappingNode {
		n = yamltree.Map("allOf", yamltree.List(n))
	}
	if yamltree.Find(n, "title") == nil {
		yamltree.Set(n, "title", yamltree.String("Data of "+t.Name))
	}
	if yamltree.Find(n, "examples") == nil {
		examples := yamltree.List()
		for _, e := range t.Examples {
			examples.Content = append(examples.Content, yamltree.Clone(e.Tree))
		}
		yamltree.Set(n, "examples", examples)
	}
	return n
}

func eventSchema(t *catalog.Type) *yaml.Node {
	own := yamltree.Map("type", "object", "properties", yamltree.Map(
		"type", yamltree.Map("type", "string", "const", t.Name),
		"data", valueSchema(t),
	))
	if !t.State {
		yamltree.Set(own, "required", yamltree.List(yamltree.String("data")))
	}
	return described(t, yamltree.Map("allOf", yamltree.List(refTo(envelope), own)))
}

// valueSchema returns the schema of an event's data member. For a state-like type
// that includes null, which removes the subject's state.
func valueSchema(t *catalog.Type) *yaml.Node {
	data := refTo(t.Component() + "Data")
	if !t.State {
		return data
	}
	return yamltree.Map("anyOf", yamltree.List(data, yamltree.Map("type", "null", "description", "The subject is gone.")))
}

// deliverySchema returns the schema of the server-sent event that carries the type.
func deliverySchema(t *catalog.Type, general *yaml.Node) *yaml.Node {
	n := carrier(t, general)
	yamltree.Set(yamltree.Find(n, "properties", "data"), "contentSchema", contentSchema(t))
	return n
}

// itemSchema returns the schema of the JSON object that carries the type.
func itemSchema(t *catalog.Type, general *yaml.Node) *yaml.Node {
	n := carrier(t, general)
	yamltree.Set(yamltree.Find(n, "properties"), "data", contentSchema(t))
	return n
}

// carrier returns the general schema with the words and the name of the type.
func carrier(t *catalog.Type, general *yaml.Node) *yaml.Node {
	n := described(t, yamltree.Clone(general))
	yamltree.Set(yamltree.Find(n, "properties"), "event", yamltree.Map("type", "string", "const", t.Name))
	return n
}

func contentSchema(t *catalog.Type) *yaml.Node {
	return yamltree.Map(
		"description", "The CloudEvent, or with `envelope=data` the event's data alone.",
		"anyOf", yamltree.List(refTo(t.Component()+"Event"), valueSchema(t)),
	)
}

func described(t *catalog.Type, n *yaml.Node) *yaml.Node {
	yamltree.Set(n, "title", yamltree.String(t.Title))
	yamltree.Set(n, "description", yamltree.String(t.Description))
	if t.Deprecated {
		yamltree.Set(n, "deprecated", yamltree.Bool(true))
	}
	return n
}

func refTo(component string) *yaml.Node { return yamltree.Map("$ref", componentPath+component) }

const componentPath = "#/components/schemas/"
