package catalog

import (
	"github.com/paylogic/pushserver/internal/yamltree"

	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

var typeNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

func readCatalog(text []byte) (*Catalog, *yamltree.Fault) {
	root, f := yamltree.Read(text)
	if f != nil {
		return nil, f
	}
	if f := onlyMembers(root, "types"); f != nil {
		return nil, f
	}
	types := yamltree.Find(root, "types")
	if types == nil || types.Kind != yaml.MappingNode || len(types.Content) == 0 {
		return nil, yamltree.FaultAt(root, "types must have at least one type")
	}
	c := &Catalog{byName: make(map[string]*Type)}
	components := make(map[string]string)
	for key, value := range yamltree.Members(types) {
		t, f := readType(key, value)
		if f != nil {
			return nil, f.Within(key.Value)
		}
		if other, taken := components[t.Component()]; taken {
			return nil, yamltree.FaultAt(key, "%s: choose a name that differs from %s by more than dots and hyphens: programs made from the description would call both %s",
				t.Name, other, t.Component())
		}
		components[t.Component()] = t.Name
		c.types = append(c.types, t)
		c.byName[t.Name] = t
	}
	return c, nil
}

func readType(key, n *yaml.Node) (*Type, *yamltree.Fault) {
	switch {
	case !typeNames.MatchString(key.Value):
		return nil, yamltree.FaultAt(key, "a type has letters, digits, '.', '_' and '-', begins with a letter or digit and has at most 128 of them")
	case strings.HasPrefix(key.Value, "stream."):
		return nil, yamltree.FaultAt(key, "choose another name: types that begin with stream. are reserved")
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
			f = yamltree.FaultAt(key, "a %s is missing", member.name)
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
		value := yamltree.Find(n, member.name)
		if value == nil {
			continue
		}
		set, ok := yamltree.Value(value).(bool)
		if !ok {
			return nil, yamltree.FaultAt(value, "%s must be true or false", member.name)
		}
		*member.into = set
	}
	schema := yamltree.Find(n, "schema")
	if schema == nil {
		return nil, yamltree.FaultAt(key, "a schema is missing")
	}
	if f := t.setSchema(schema); f != nil {
		return nil, f.Within("schema")
	}
	list := yamltree.Find(n, "examples")
	if len(yamltree.Elements(list)) == 0 {
		return nil, yamltree.FaultAt(key, "examples must have at least one example")
	}
	for i, example := range yamltree.Elements(list) {
		e, f := t.readExample(example, i)
		if f != nil {
			return nil, f.Within(fmt.Sprintf("example %d", i+1))
		}
		t.Examples = append(t.Examples, e)
	}
	return t, nil
}

func (t *Type) readExample(n *yaml.Node, i int) (Example, *yamltree.Fault) {
	e := Example{ID: fmt.Sprintf("example-%d", i+1), Source: "/examples"}
	if f := onlyMembers(n, "summary", "id", "source", "subject", "data"); f != nil {
		return e, f
	}
	for _, member := range []struct {
		name string
		into *string
		most int // bytes, as in the API
	}{{"summary", &e.Summary, 256}, {"id", &e.ID, 128}, {"source", &e.Source, 256}, {"subject", &e.Subject, 256}} {
		text, f := textOf(n, member.name)
		if f != nil {
			return e, f
		}
		if len(text) > member.most || !printable(text) {
			return e, yamltree.FaultAt(yamltree.Find(n, member.name), "%s must have only printable characters, in at most %d bytes", member.name, member.most)
		}
		if text != "" {
			*member.into = text
		}
	}
	data := yamltree.Find(n, "data")
	if data == nil {
		return e, yamltree.FaultAt(n, "data is missing")
	}
	e.Data, e.Tree = yamltree.AppendJSON(nil, data), data
	if violations := t.check(yamltree.Value(data)); len(violations) > 0 {
		first := violations[0]
		return e, yamltree.FaultAt(yamltree.Locate(data, first.Pointer), "data does not fit the schema: %s", first)
	}
	return e, nil
}

// onlyMembers returns a fault unless n is a mapping without other members.
func onlyMembers(n *yaml.Node, names ...string) *yamltree.Fault {
	if n.Kind != yaml.MappingNode {
		return yamltree.FaultAt(n, "expected a mapping of %s", strings.Join(names, ", "))
	}
	for key := range yamltree.Members(n) {
		if !slices.Contains(names, key.Value) {
			return yamltree.FaultAt(key, "%s is unknown; known members are %s", key.Value, strings.Join(names, ", "))
		}
	}
	return nil
}

// textOf returns the text of a member, or "" if it is missing.
func textOf(n *yaml.Node, name string) (string, *yamltree.Fault) {
	value := yamltree.Find(n, name)
	if value == nil {
		return "", nil
	}
	text, ok := yamltree.Value(value).(string)
	if !ok {
		return "", yamltree.FaultAt(value, "%s must be a text", name)
	}
	return strings.TrimSpace(text), nil
}

// printable reports whether a text has no character that ends a line, is invisible,
// or changes the direction of the text around it.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
	})
}

// Component returns the name of the type in generated programs and in the
// description: TicketAvailability.
func (t *Type) Component() string {
	var b strings.Builder
	for part := range strings.FieldsFuncSeq(t.Name, func(r rune) bool { return strings.ContainsRune("._-", r) }) {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}
