package describe

import (
	"slices"

	"github.com/paylogic/pushserver/api/catalog"
	"github.com/paylogic/pushserver/internal/yamltree"

	"fmt"

	"go.yaml.in/yaml/v3"
)

// The time, position and merchant of all examples.
const (
	exampleTime     = "2025-11-22T21:00:00.123Z"
	examplePosition = "1763845200123-%d-Tb09s"
	exampleMerchant = "acme"
)

// Media types of a stream.
const (
	serverSent = "text/event-stream"
	jsonLines  = "application/x-ndjson"
)

// cloudEvent returns an example as the CloudEvent that a merchant receives, in JSON.
func cloudEvent(t *catalog.Type, e catalog.Example) []byte {
	b := []byte(`{"specversion":"1.0"`)
	for _, member := range []struct{ name, value string }{
		{`,"id":`, e.ID}, {`,"source":`, e.Source}, {`,"type":`, t.Name}, {`,"subject":`, e.Subject},
		{`,"time":`, exampleTime}, {`,"merchant":`, exampleMerchant},
	} {
		if member.value != "" {
			b = yamltree.AppendString(append(b, member.name...), member.value)
		}
	}
	b = append(b, `,"data":`...)
	return append(append(b, e.Data...), '}')
}

// wire returns an example as a stream of the form carries it.
func wire(t *catalog.Type, form string, i int) string {
	position := fmt.Sprintf(examplePosition, i)
	event := cloudEvent(t, t.Examples[i])
	if form == jsonLines {
		return jsonLine(position, t.Name, event)
	}
	return fmt.Sprintf("id: %s\nevent: %s\ndata: %s\n\n", position, t.Name, event)
}

// jsonLine needs an id and a type without characters that JSON must escape.
func jsonLine(id, typ string, data []byte) string {
	return fmt.Sprintf(`{"id":"%s","event":"%s","data":%s}`+"\n", id, typ, data)
}

// showExamples adds the examples of the types to every stream of a document, and one
// example to every page.
func showExamples(n *yaml.Node, types []*catalog.Type) {
	if page := yamltree.Find(n, "content", "application/json"); page != nil {
		showPage(page, types)
	}
	for form, stream := range streamsOf(n) {
		examples := yamltree.Find(stream, "examples")
		if examples == nil {
			examples = yamltree.Map()
			yamltree.Set(stream, "examples", examples)
		}
		for _, t := range types {
			for i, e := range t.Examples {
				name, example := t.Name, yamltree.Map()
				if i > 0 {
					name = fmt.Sprintf("%s/%d", t.Name, i+1) // no type has a slash
				}
				if e.Summary != "" {
					yamltree.Set(example, "summary", yamltree.String(e.Summary))
				}
				yamltree.Set(example, "value", yamltree.String(wire(t, form, i)))
				yamltree.Set(examples, name, example)
			}
		}
	}
	for _, child := range n.Content {
		showExamples(child, types)
	}
}

// showPage adds an example to a page of events, or of states if a type has state.
func showPage(page *yaml.Node, types []*catalog.Type) {
	list := map[string]string{componentPath + "Page": "events", componentPath + "State": "state"}[refOf(yamltree.Find(page, "schema"))]
	if list == "state" {
		types = slices.DeleteFunc(slices.Clone(types), func(t *catalog.Type) bool { return !t.State })
	}
	if list == "" || len(types) == 0 {
		return
	}
	t, position := types[0], fmt.Sprintf(examplePosition, 0)
	item, f := yamltree.Read([]byte(jsonLine(position, t.Name, cloudEvent(t, t.Examples[0]))))
	if f != nil {
		panic("describe: an example is not JSON: " + f.Reason)
	}
	example := yamltree.Map(list, yamltree.List(item), "cursor", position)
	if list == "events" {
		yamltree.Set(example, "more", yamltree.Bool(false))
	}
	yamltree.Set(page, "example", example)
}

// streamsOf iterates over the streams in the content of a response, by media type.
func streamsOf(n *yaml.Node) func(func(form string, stream *yaml.Node) bool) {
	return func(yield func(form string, stream *yaml.Node) bool) {
		for key, value := range yamltree.Members(yamltree.Find(n, "content")) {
			if key.Value != serverSent && key.Value != jsonLines || yamltree.Find(value, "itemSchema") == nil {
				continue
			}
			if !yield(key.Value, value) {
				return
			}
		}
	}
}
