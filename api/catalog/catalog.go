package catalog

import (
	"github.com/paylogic/pushserver/internal/yamltree"

	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// A Catalog is a set of types. The zero value has none. A catalogue is immutable and
// safe for concurrent use.
type Catalog struct {
	types  []*Type // in the order of the file
	byName map[string]*Type
}

// A Type describes one type of events. It is immutable.
type Type struct {
	Name        string // "payment.succeeded"
	Title       string
	Description string
	State       bool // only the newest event of each subject counts
	Deprecated  bool
	Examples    []Example // at least one

	Tree     *yaml.Node // the schema of data, with its references resolved; read-only
	compiled *jsonschema.Schema
}

// An Example is an event that the type can have.
type Example struct {
	Summary string // empty if the file has none
	ID      string
	Source  string
	Subject string          // empty if the file has none
	Data    json.RawMessage // fits the schema

	Tree *yaml.Node
}

// An Error says why a catalogue cannot be used.
type Error struct {
	File   string
	Line   int
	Reason string
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason) }

//go:embed builtin.yaml
var builtin []byte

// Builtin returns the catalogue in this program: the types of a ticket shop.
func Builtin() *Catalog { return parseBuiltin() }

var parseBuiltin = sync.OnceValue(func() *Catalog {
	c, err := Parse("builtin.yaml", builtin)
	if err != nil {
		panic("catalog: " + err.Error())
	}
	return c
})

// Load reads a catalogue from a file. An error in its content is an [*Error].
func Load(file string) (*Catalog, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the catalogue: %w", err)
	}
	return Parse(file, text)
}

// Parse reads a catalogue. An error is an [*Error] that names the file.
func Parse(file string, text []byte) (*Catalog, error) {
	c, f := readCatalog(text)
	if f != nil {
		return nil, &Error{File: file, Line: f.Line, Reason: f.Reason}
	}
	return c, nil
}

// Types returns all types, in the order of the file.
func (c *Catalog) Types() []*Type { return slices.Clone(c.types) }

// Type returns the type of that name, or nil.
func (c *Catalog) Type(name string) *Type { return c.byName[name] }

// Schema returns the schema of the events' data in JSON, with its references
// resolved.
func (t *Type) Schema() json.RawMessage { return yamltree.AppendJSON(nil, t.Tree) }
