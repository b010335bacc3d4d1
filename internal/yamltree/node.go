package yamltree

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Fault is what is wrong with a document, and where.
type Fault struct {
	Line   int
	Reason string
}

// FaultAt returns a fault at the line of a node.
func FaultAt(n *yaml.Node, format string, args ...any) *Fault {
	return &Fault{max(n.Line, 1), fmt.Sprintf(format, args...)}
}

// Within returns the fault with a place before its reason.
func (f *Fault) Within(place string) *Fault {
	return &Fault{f.Line, place + ": " + f.Reason}
}

// jsonNumber is a number as JSON writes it (RFC 8259, section 6).
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// Read reads one document. It rejects everything that JSON does not have: a duplicate
// member, a name that is not text, an alias, a value of another kind.
func Read(text []byte) (*yaml.Node, *Fault) {
	var document yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&document); err != nil {
		return nil, yamlFault(err)
	}
	switch err := dec.Decode(new(yaml.Node)); {
	case err == nil:
		return nil, FaultAt(&document, "there is more than one document")
	case !errors.Is(err, io.EOF):
		return nil, yamlFault(err)
	}
	root := document.Content[0]
	return root, plain(root)
}

// yamlLine finds the line in the text of an error of the YAML reader.
var yamlLine = regexp.MustCompile(`^yaml: (?:line ([0-9]+): )?(.*)$`)

func yamlFault(err error) *Fault {
	match := yamlLine.FindStringSubmatch(err.Error())
	switch {
	case errors.Is(err, io.EOF):
		return &Fault{1, "there is nothing in it"}
	case match == nil:
		return &Fault{1, "not valid YAML: " + err.Error()}
	}
	line, _ := strconv.Atoi("0" + match[1])
	return &Fault{max(line, 1), "not valid YAML: " + match[2]}
}

// plain returns a fault where a document has what JSON does not.
func plain(n *yaml.Node) *Fault {
	switch n.Kind {
	case yaml.AliasNode:
		return FaultAt(n, "write the value out: aliases are not taken")
	case yaml.ScalarNode:
		if _, err := Scalar(n); err != nil {
			return FaultAt(n, "%v", err)
		}
	case yaml.MappingNode:
		seen := make(map[string]bool)
		for key := range Members(n) {
			switch {
			case key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge":
				return FaultAt(key, "a name must be a text")
			case seen[key.Value]:
				return FaultAt(key, "%s appears twice", key.Value)
			}
			seen[key.Value] = true
		}
	}
	for _, child := range n.Content {
		if f := plain(child); f != nil {
			return f
		}
	}
	return nil
}

// Scalar returns the value of a scalar: nil, a bool, a string or a json.Number.
func Scalar(n *yaml.Node) (any, error) {
	unquoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) == 0
	if unquoted && jsonNumber.MatchString(n.Value) {
		return json.Number(n.Value), nil // the YAML reader takes 1e400 for a text
	}
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true"), nil
	case "!!str", "!!timestamp":
		return n.Value, nil
	case "!!int", "!!float":
		return nil, fmt.Errorf("write the number %s as JSON does, or in quotes if it is a text", n.Value)
	}
	return nil, fmt.Errorf("JSON cannot represent the YAML tag %s", n.ShortTag())
}

// Members iterates over the names and values of a mapping, in order. A node of
// another kind has none.
func Members(n *yaml.Node) func(func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		if n == nil || n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// Elements returns the elements of a sequence, and nil for a node of another kind.
func Elements(n *yaml.Node) []*yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

// Find returns the value at a path of names, or nil.
func Find(n *yaml.Node, path ...string) *yaml.Node {
	for _, name := range path {
		var next *yaml.Node
		for key, value := range Members(n) {
			if key.Value == name {
				next = value
			}
		}
		n = next
	}
	return n
}

// Set replaces the member of that name in a mapping, or appends it.
func Set(n *yaml.Node, name string, value *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			n.Content[i+1] = value
			return
		}
	}
	n.Content = append(n.Content, String(name), value)
}

// Delete removes the member of that name from a mapping.
func Delete(n *yaml.Node, name string) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			n.Content = slices.Delete(n.Content, i, i+2)
			return
		}
	}
}

// Clone returns a copy that shares nothing with n.
func Clone(n *yaml.Node) *yaml.Node {
	if n == nil {
		return nil
	}
	c := *n
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		c.Content[i] = Clone(child)
	}
	return &c
}

// String returns a node that every YAML reader reads as text.
func String(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	switch {
	case strings.Contains(s, "\n"):
		n.Style = yaml.LiteralStyle
	case jsonNumber.MatchString(s):
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// Bool returns a node that is true or false.
func Bool(b bool) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(b)}
}

// List returns a sequence.
func List(content ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: content}
}

// Map returns a mapping of alternating names and values. A name is a string; a value
// is a string or a node.
func Map(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for pair := range slices.Chunk(pairs, 2) {
		value, ok := pair[1].(*yaml.Node)
		if !ok {
			value = String(pair[1].(string))
		}
		n.Content = append(n.Content, String(pair[0].(string)), value)
	}
	return n
}

// AppendJSON appends a node that was read, in JSON: compact, with members in order.
func AppendJSON(dst []byte, n *yaml.Node) []byte {
	switch n.Kind {
	case yaml.MappingNode:
		dst = append(dst, '{')
		for key, value := range Members(n) {
			if dst[len(dst)-1] != '{' {
				dst = append(dst, ',')
			}
			dst = append(AppendString(dst, key.Value), ':')
			dst = AppendJSON(dst, value)
		}
		return append(dst, '}')
	case yaml.SequenceNode:
		dst = append(dst, '[')
		for i, element := range n.Content {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendJSON(dst, element)
		}
		return append(dst, ']')
	}
	switch v, _ := Scalar(n); v := v.(type) { // Read has checked it
	case bool:
		return strconv.AppendBool(dst, v)
	case json.Number:
		return append(dst, v...)
	case string:
		return AppendString(dst, v)
	}
	return append(dst, "null"...)
}

// AppendString appends s as a JSON string.
func AppendString(dst []byte, s string) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always can be
	return append(dst, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...)
}

// Value returns the value of a node that was read, as encoding/json would decode it
// with UseNumber.
func Value(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for key, value := range Members(n) {
			m[key.Value] = Value(value)
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, element := range n.Content {
			list[i] = Value(element)
		}
		return list
	}
	v, _ := Scalar(n) // Read has checked it
	return v
}
