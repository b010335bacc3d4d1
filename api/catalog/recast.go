package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A recast gives the examples of a document other actors: what shows an event of
// a type that the document does not describe shows the first one that it does.
type recast struct {
	types []*Type // at least one
}

// document recasts all examples in a document.
func (r recast) document(n *yaml.Node) {
	for key, value := range members(n) {
		switch key.Value {
		case "example":
			r.value(value)
		case "examples":
			for _, example := range members(value) {
				r.value(find(example, "value"))
			}
		default:
			r.document(value)
		}
	}
	for _, element := range elements(n) {
		r.document(element)
	}
}

// foreign reports whether a type is one of events and not described.
func (r recast) foreign(typ string) bool {
	return !strings.HasPrefix(typ, "stream.") &&
		!slices.ContainsFunc(r.types, func(t *Type) bool { return t.Name == typ })
}

// actor returns what takes the place of an event, carried in the same way.
func (r recast) actor(data []byte) (typ string, own []byte) {
	t := r.types[0]
	if bytes.Contains(data, []byte(`"specversion"`)) {
		return t.Name, t.cloudEvent(t.Examples[0])
	}
	return t.Name, t.Examples[0].Data
}

// value recasts an example: an item that carries an event, whatever has such
// items in it, or the text of a stream.
func (r recast) value(n *yaml.Node) {
	if n == nil {
		return
	}
	event, data := find(n, "event"), find(n, "data")
	switch {
	case event != nil && data != nil && event.Kind == yaml.ScalarNode:
		if !r.foreign(event.Value) {
			return
		}
		typ, own := r.actor(appendJSON(nil, data))
		node, f := readNode(own)
		if f != nil {
			panic("catalog: an example is no JSON: " + f.reason)
		}
		set(n, "event", textNode(typ))
		set(n, "data", node)
	case n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "\n"):
		*n = *textNode(r.text(n.Value))
	default:
		for _, child := range n.Content {
			r.value(child)
		}
	}
}

// text recasts a stream, line by line.
func (r recast) text(stream string) string {
	lines := strings.SplitAfter(stream, "\n")
	for i, line := range lines {
		var object struct {
			ID    string          `json:"id"`
			Event string          `json:"event"`
			Data  json.RawMessage `json:"data"`
		}
		switch typ, named := strings.CutPrefix(line, "event: "); {
		case named && i+1 < len(lines) && r.foreign(strings.TrimSpace(typ)):
			typ, own := r.actor([]byte(lines[i+1]))
			lines[i], lines[i+1] = fmt.Sprintf("event: %s\n", typ), fmt.Sprintf("data: %s\n", own)
		case json.Unmarshal([]byte(line), &object) == nil && object.ID != "" && r.foreign(object.Event):
			typ, own := r.actor(object.Data)
			lines[i] = jsonLine(object.ID, typ, own)
		}
	}
	return strings.Join(lines, "")
}
