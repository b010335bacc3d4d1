package catalog

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// A fault is what is wrong with a document, and where.
type fault struct {
	line   int
	reason string
}

func faultAt(n *yaml.Node, format string, args ...any) *fault {
	return &fault{max(n.Line, 1), fmt.Sprintf(format, args...)}
}

// within returns the fault with the place before its reason.
func (f *fault) within(place string) *fault {
	return &fault{f.line, place + ": " + f.reason}
}

// typeNames are the names that events can have as their type.
var typeNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

func readCatalog(text []byte) (*Catalog, *fault) {
	root, f := readNode(text)
	if f != nil {
		return nil, f
	}
	if f := onlyMembers(root, "types"); f != nil {
		return nil, f
	}
	types := find(root, "types")
	if types == nil || types.Kind != yaml.MappingNode || len(types.Content) == 0 {
		return nil, faultAt(root, "types must have at least one type")
	}
	c := &Catalog{byName: make(map[string]*Type)}
	components := make(map[string]string)
	for key, value := range members(types) {
		t, f := readType(key, value)
		if f != nil {
			return nil, f.within(key.Value)
		}
		if other, taken := components[t.component()]; taken {
			return nil, faultAt(key, "%s: choose a name that differs from %s by more than dots and hyphens: programs made from the description would call both %s",
				t.Name, other, t.component())
		}
		components[t.component()] = t.Name
		c.types = append(c.types, t)
		c.byName[t.Name] = t
	}
	return c, nil
}

func readType(key, n *yaml.Node) (*Type, *fault) {
	switch {
	case !typeNames.MatchString(key.Value):
		return nil, faultAt(key, "a type has letters, digits, '.', '_' and '-', begins with a letter or digit and has at most 128 of them")
	case strings.HasPrefix(key.Value, "stream."):
		return nil, faultAt(key, "choose another name: types that begin with stream. are reserved")
	}
	if f := onlyMembers(n, "title", "description", "state", "deprecated", "schema", "examples"); f != nil {
		return nil, f
	}
	t := &Type{Name: key.Value}
	for _, member := range []struct {
		name string
		into *string
	}{{"title", &t.Title}, {"description", &t.Description}} {
		text, f := textOf(n, member.name)
		if f == nil && text == "" {
			f = faultAt(key, "a %s is missing", member.name)
		}
		if f != nil {
			return nil, f
		}
		*member.into = text
	}
	for _, member := range []struct {
		name string
		into *bool
	}{{"state", &t.State}, {"deprecated", &t.Deprecated}} {
		value := find(n, member.name)
		if value == nil {
			continue
		}
		set, ok := decoded(value).(bool)
		if !ok {
			return nil, faultAt(value, "%s must be true or false", member.name)
		}
		*member.into = set
	}
	schema := find(n, "schema")
	if schema == nil {
		return nil, faultAt(key, "a schema is missing")
	}
	if f := t.setSchema(schema); f != nil {
		return nil, f.within("schema")
	}
	list := find(n, "examples")
	if len(elements(list)) == 0 {
		return nil, faultAt(key, "examples must have at least one example")
	}
	for i, example := range elements(list) {
		e, f := t.readExample(example, i)
		if f != nil {
			return nil, f.within(fmt.Sprintf("example %d", i+1))
		}
		t.Examples = append(t.Examples, e)
	}
	return t, nil
}

func (t *Type) readExample(n *yaml.Node, i int) (Example, *fault) {
	e := Example{ID: fmt.Sprintf("example-%d", i+1), Source: "/examples"}
	if f := onlyMembers(n, "summary", "id", "source", "subject", "data"); f != nil {
		return e, f
	}
	for _, member := range []struct {
		name string
		into *string
		most int // bytes, as the API has it
	}{{"summary", &e.Summary, 256}, {"id", &e.ID, 128}, {"source", &e.Source, 256}, {"subject", &e.Subject, 256}} {
		text, f := textOf(n, member.name)
		if f != nil {
			return e, f
		}
		if len(text) > member.most || !printable(text) {
			return e, faultAt(find(n, member.name), "%s must have only printable characters, in at most %d bytes", member.name, member.most)
		}
		if text != "" {
			*member.into = text
		}
	}
	data := find(n, "data")
	if data == nil {
		return e, faultAt(n, "data is missing")
	}
	e.Data, e.data = appendJSON(nil, data), data
	if violations := t.check(decoded(data)); len(violations) > 0 {
		first := violations[0]
		return e, faultAt(locate(data, first.Pointer), "data does not fit the schema: %s", first)
	}
	return e, nil
}

// onlyMembers returns a fault unless n is a mapping with none but these members.
func onlyMembers(n *yaml.Node, names ...string) *fault {
	if n.Kind != yaml.MappingNode {
		return faultAt(n, "expected a mapping of %s", strings.Join(names, ", "))
	}
	for key := range members(n) {
		if !slices.Contains(names, key.Value) {
			return faultAt(key, "%s is unknown; known members are %s", key.Value, strings.Join(names, ", "))
		}
	}
	return nil
}

// textOf returns the text of a member, or "" if it is missing.
func textOf(n *yaml.Node, name string) (string, *fault) {
	value := find(n, name)
	if value == nil {
		return "", nil
	}
	text, ok := decoded(value).(string)
	if !ok {
		return "", faultAt(value, "%s must be a text", name)
	}
	return strings.TrimSpace(text), nil
}

// locate returns the node that a JSON Pointer leads to, or the last one on the
// way there.
func locate(n *yaml.Node, pointer string) *yaml.Node {
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		token = unescape.Replace(token)
		next := find(n, token)
		for i, element := range elements(n) {
			if fmt.Sprint(i) == token {
				next = element
			}
		}
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

// How a name stands in a JSON Pointer (RFC 6901).
var (
	escape   = strings.NewReplacer("~", "~0", "/", "~1")
	unescape = strings.NewReplacer("~1", "/", "~0", "~")
)

// printable reports whether a text has nothing that ends a line, hides, or turns
// what stands around it.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
	})
}

// component returns the name of the type in generated programs and in the
// description: TicketAvailability.
func (t *Type) component() string {
	var b strings.Builder
	for part := range strings.FieldsFuncSeq(t.Name, func(r rune) bool { return strings.ContainsRune("._-", r) }) {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}
