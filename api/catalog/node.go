package catalog

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

// Documents are kept as trees of [yaml.Node]: members stay in the order in which
// a person wrote them, numbers keep their digits, and errors know their line.

// jsonNumber is a number as JSON writes it (RFC 8259, section 6).
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// readNode reads one document. A fault is at the line that it names.
func readNode(text []byte) (*yaml.Node, *fault) {
	var document yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&document); err != nil {
		return nil, yamlFault(err)
	}
	switch err := dec.Decode(new(yaml.Node)); {
	case err == nil:
		return nil, faultAt(&document, "there is more than one document")
	case !errors.Is(err, io.EOF):
		return nil, yamlFault(err)
	}
	root := document.Content[0]
	return root, plain(root)
}

// yamlLine finds the line in the text of an error of the YAML reader.
var yamlLine = regexp.MustCompile(`^yaml: (?:line ([0-9]+): )?(.*)$`)

func yamlFault(err error) *fault {
	match := yamlLine.FindStringSubmatch(err.Error())
	switch {
	case errors.Is(err, io.EOF):
		return &fault{1, "there is nothing in it"}
	case match == nil:
		return &fault{1, "not valid YAML: " + err.Error()}
	}
	line, _ := strconv.Atoi("0" + match[1])
	return &fault{max(line, 1), "not valid YAML: " + match[2]}
}

// plain returns a fault where a document has what JSON has not: a member twice,
// a name that is no text, an alias, a value of another kind.
func plain(n *yaml.Node) *fault {
	switch n.Kind {
	case yaml.AliasNode:
		return faultAt(n, "write the value out: aliases are not taken")
	case yaml.ScalarNode:
		if _, err := scalar(n); err != nil {
			return faultAt(n, "%v", err)
		}
	case yaml.MappingNode:
		seen := make(map[string]bool)
		for key := range members(n) {
			switch {
			case key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge":
				return faultAt(key, "a name must be a text")
			case seen[key.Value]:
				return faultAt(key, "%s appears twice", key.Value)
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

// scalar returns the value of a scalar: nil, a bool, a string or a json.Number.
func scalar(n *yaml.Node) (any, error) {
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

// members goes through the names and values of a mapping, in their order. Of
// another node there are none.
func members(n *yaml.Node) func(func(key, value *yaml.Node) bool) {
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

// elements returns what a sequence has; of another node, nothing.
func elements(n *yaml.Node) []*yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

// find returns the value at a path of names, or nil.
func find(n *yaml.Node, path ...string) *yaml.Node {
	for _, name := range path {
		var next *yaml.Node
		for key, value := range members(n) {
			if key.Value == name {
				next = value
			}
		}
		n = next
	}
	return n
}

// set gives a mapping a member, in the place of the one that has its name or
// behind all others.
func set(n *yaml.Node, name string, value *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			n.Content[i+1] = value
			return
		}
	}
	n.Content = append(n.Content, textNode(name), value)
}

// drop takes a member away.
func drop(n *yaml.Node, name string) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			n.Content = slices.Delete(n.Content, i, i+2)
			return
		}
	}
}

// clone returns a copy that shares nothing with n.
func clone(n *yaml.Node) *yaml.Node {
	if n == nil {
		return nil
	}
	c := *n
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		c.Content[i] = clone(child)
	}
	return &c
}

// textNode returns a text that every reader of YAML takes for one.
func textNode(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	switch {
	case strings.Contains(s, "\n"):
		n.Style = yaml.LiteralStyle
	case jsonNumber.MatchString(s):
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

func boolNode(b bool) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(b)}
}

func listNode(content ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: content}
}

// mapNode returns a mapping of names and values in turn. A name is a string, a
// value is one or a node.
func mapNode(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for pair := range slices.Chunk(pairs, 2) {
		value, ok := pair[1].(*yaml.Node)
		if !ok {
			value = textNode(pair[1].(string))
		}
		n.Content = append(n.Content, textNode(pair[0].(string)), value)
	}
	return n
}

// refNode returns a reference to a schema of an OpenAPI document.
func refNode(component string) *yaml.Node { return mapNode("$ref", componentPath+component) }

const componentPath = "#/components/schemas/"

// appendJSON appends the JSON form of a plain node, without white space and with
// its members in their order.
func appendJSON(dst []byte, n *yaml.Node) []byte {
	switch n.Kind {
	case yaml.MappingNode:
		dst = append(dst, '{')
		for key, value := range members(n) {
			if dst[len(dst)-1] != '{' {
				dst = append(dst, ',')
			}
			dst = append(appendText(dst, key.Value), ':')
			dst = appendJSON(dst, value)
		}
		return append(dst, '}')
	case yaml.SequenceNode:
		dst = append(dst, '[')
		for i, element := range n.Content {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, element)
		}
		return append(dst, ']')
	}
	switch v, _ := scalar(n); v := v.(type) { // plain has seen it
	case bool:
		return strconv.AppendBool(dst, v)
	case json.Number:
		return append(dst, v...)
	case string:
		return appendText(dst, v)
	}
	return append(dst, "null"...)
}

// appendText appends s as a JSON string.
func appendText(dst []byte, s string) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always can be
	return append(dst, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...)
}

// decoded returns the value of a plain node as encoding/json would decode it
// with UseNumber.
func decoded(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for key, value := range members(n) {
			m[key.Value] = decoded(value)
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, element := range n.Content {
			list[i] = decoded(element)
		}
		return list
	}
	v, _ := scalar(n) // plain has seen it
	return v
}
