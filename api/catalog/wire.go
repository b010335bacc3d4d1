package catalog

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// When the events of examples happened, and where they stand.
const (
	exampleTime     = "2025-11-22T21:00:00.123Z"
	examplePosition = "1763845200123-%d-Tb09s"
	exampleMerchant = "acme"
)

// The forms of a stream.
const (
	serverSent = "text/event-stream"
	jsonLines  = "application/x-ndjson"
)

// cloudEvent returns the example as the CloudEvent that a merchant receives, in
// JSON.
func (t *Type) cloudEvent(e Example) []byte {
	b := []byte(`{"specversion":"1.0"`)
	for _, member := range []struct{ name, value string }{
		{`,"id":`, e.ID}, {`,"source":`, e.Source}, {`,"type":`, t.Name}, {`,"subject":`, e.Subject},
		{`,"time":`, exampleTime}, {`,"merchant":`, exampleMerchant},
	} {
		if member.value != "" {
			b = appendText(append(b, member.name...), member.value)
		}
	}
	b = append(b, `,"data":`...)
	return append(append(b, e.Data...), '}')
}

// wire returns an event as it is written on a stream of that form.
func (t *Type) wire(form string, i int) string {
	position := fmt.Sprintf(examplePosition, i)
	event := t.cloudEvent(t.Examples[i])
	if form == jsonLines {
		return jsonLine(position, t.Name, event)
	}
	return fmt.Sprintf("id: %s\nevent: %s\ndata: %s\n\n", position, t.Name, event)
}

// jsonLine returns an event as a line. Neither text has what JSON must escape.
func jsonLine(id, typ string, data []byte) string {
	return fmt.Sprintf(`{"id":"%s","event":"%s","data":%s}`+"\n", id, typ, data)
}

// showExamples adds the examples of the types to every stream of a document.
func showExamples(n *yaml.Node, types []*Type) {
	for form, stream := range streamsOf(n) {
		examples := find(stream, "examples")
		if examples == nil {
			examples = mapNode()
			set(stream, "examples", examples)
		}
		for _, t := range types {
			for i, e := range t.Examples {
				name, example := t.Name, mapNode()
				if i > 0 {
					name = fmt.Sprintf("%s/%d", t.Name, i+1) // no type has a slash
				}
				if e.Summary != "" {
					set(example, "summary", textNode(e.Summary))
				}
				set(example, "value", textNode(t.wire(form, i)))
				set(examples, name, example)
			}
		}
	}
	for _, child := range n.Content {
		showExamples(child, types)
	}
}

// streamsOf goes through the streams among the contents of a response, by their
// form.
func streamsOf(n *yaml.Node) func(func(form string, stream *yaml.Node) bool) {
	return func(yield func(form string, stream *yaml.Node) bool) {
		for key, value := range members(find(n, "content")) {
			if key.Value != serverSent && key.Value != jsonLines || find(value, "itemSchema") == nil {
				continue
			}
			if !yield(key.Value, value) {
				return
			}
		}
	}
}

// downgrade makes an OpenAPI 3.1 document of one in 3.2, in place.
func downgrade(root *yaml.Node) *yaml.Node {
	set(root, "openapi", textNode("3.1.1"))
	withoutItems(root)
	return root
}

// withoutItems moves itemSchema to schema, and the examples of streams into the
// text beside them.
func withoutItems(n *yaml.Node) {
	for form, stream := range streamsOf(n) {
		text := []byte("\n\nAs `" + form + "`, for example:\n")
		for _, example := range members(find(stream, "examples")) {
			if summary := find(example, "summary"); summary != nil {
				text = fmt.Appendf(text, "\n%s:\n", summary.Value)
			}
			if value := find(example, "value"); value != nil {
				text = fmt.Appendf(text, "\n```\n%s\n```\n", strings.TrimRight(value.Value, "\n"))
			}
		}
		if description := find(n, "description"); description != nil {
			set(n, "description", textNode(strings.TrimRight(description.Value, "\n")+string(text)))
		}
		set(stream, "schema", find(stream, "itemSchema"))
		drop(stream, "itemSchema")
		drop(stream, "examples")
	}
	for _, child := range n.Content {
		withoutItems(child)
	}
}
