package describe

import (
	"github.com/paylogic/pushserver/api/catalog"
	"github.com/paylogic/pushserver/internal/yamltree"

	"bytes"
	"errors"
	"fmt"
	"sync"

	"go.yaml.in/yaml/v3"
)

// A Composer writes the types of a catalogue into the description of the API, an
// OpenAPI 3.2 document.
//
// Where the description refers to Delivery (a server-sent event) or Item (a JSON
// object that carries an event), the composed document refers to one schema for
// each type, with the type as a constant and the schema of its data, and last to
// the general schema for all other types. Streams and pages get the examples of
// the types as they are on the wire.
type Composer struct {
	base   *yaml.Node
	types  []*catalog.Type
	others bool

	mu    sync.Mutex // guards the following
	cache map[string]*Document
}

// A Document is a composed description in the forms in which it is served. The
// same types always produce the same bytes.
type Document struct {
	YAML   []byte
	JSON   []byte
	JSON31 []byte // in OpenAPI 3.1: see [Composer.Describe]
}

// documentsMax bounds the cache: a document has a quarter of a megabyte, and most
// keys see the same types as many others.
const documentsMax = 32

// New returns a composer of a description and a catalogue. With others, the
// document also describes events of types that are not in the catalogue.
//
// It fails if the description lacks a schema that the types build on, or has one
// of the same name as a type's.
func New(document []byte, c *catalog.Catalog, others bool) (*Composer, error) {
	base, f := yamltree.Read(document)
	if f != nil {
		return nil, fmt.Errorf("read the description: line %d: %s", f.Line, f.Reason)
	}
	composer := &Composer{base: base, types: c.Types(), others: others, cache: make(map[string]*Document)}
	schemas := yamltree.Find(base, "components", "schemas")
	for _, needed := range []string{delivery, item, envelope} {
		if yamltree.Find(schemas, needed) == nil {
			return nil, errors.New("the description has no schema " + needed)
		}
	}
	for _, t := range composer.types {
		for _, suffix := range suffixes {
			if yamltree.Find(schemas, t.Component()+suffix) != nil {
				return nil, fmt.Errorf("choose another name for the type %s: the description has a schema %s of its own", t.Name, t.Component()+suffix)
			}
		}
	}
	return composer, nil
}

// Describe returns the document with the types for which visible is true. Callers
// share it and must not change it.
//
// OpenAPI 3.1 has no itemSchema. Tools that know streams of events read the schema
// of one event from schema, so JSON31 has it there. The examples of streams, which
// are not JSON, are in the text of the response.
func (c *Composer) Describe(visible func(name string) bool) *Document {
	var types []*catalog.Type
	key := make([]byte, len(c.types))
	for i, t := range c.types {
		if visible(t.Name) {
			types = append(types, t)
			key[i] = 1
		}
	}
	c.mu.Lock()
	d := c.cache[string(key)]
	c.mu.Unlock()
	if d != nil {
		return d
	}
	d = c.describe(types)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.cache) >= documentsMax {
		clear(c.cache)
	}
	c.cache[string(key)] = d
	return d
}

func (c *Composer) describe(types []*catalog.Type) *Document {
	root := compose(yamltree.Clone(c.base), types, c.others)
	d := &Document{JSON: yamltree.AppendJSON(nil, root)}
	var text bytes.Buffer
	enc := yaml.NewEncoder(&text)
	enc.SetIndent(2)
	err := enc.Encode(root)
	if err == nil {
		err = enc.Close()
	}
	if err != nil {
		panic("describe: write the description: " + err.Error())
	}
	d.YAML = text.Bytes()
	d.JSON31 = yamltree.AppendJSON(nil, downgrade(root))
	return d
}
