// Package conform holds what a server sends to what its description promises.
package conform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/paylogic/pushserver/streams/sse"
)

// A Description is an OpenAPI 3.2 document that describes a stream of events,
// as a server hands it out. It may be used by many goroutines at once.
//
// Schemas are compiled once, by the library that kin-openapi uses, which
// compiles them anew for each value: 10 ms instead of 0.1 ms. Moreover this way
// the content of texts is asserted (contentSchema). Tests compare both.
type Description struct {
	document *openapi3.T
	events   *jsonschema.Schema // itemSchema of text/event-stream
	lines    *jsonschema.Schema // itemSchema of application/x-ndjson

	mu       sync.Mutex // guards the following
	compiler *jsonschema.Compiler
}

// Read reads a document in JSON. It fails if the document is not valid itself,
// its examples included, or has no stream.
func Read(document []byte) (*Description, error) {
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(document)
	if err != nil {
		return nil, fmt.Errorf("read the description: %w", err)
	}
	if err := doc.Validate(loader.Context, openapi3.EnableExamplesValidation()); err != nil {
		return nil, fmt.Errorf("the description is not valid: %w", err)
	}
	tree, err := decode(document)
	if err != nil {
		return nil, fmt.Errorf("read the description: %w", err)
	}
	d := &Description{document: doc, compiler: jsonschema.NewCompiler()}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.UseLoader(jsonschema.SchemeURLLoader{})
	d.compiler.AssertFormat()
	d.compiler.AssertContent()
	if err := d.compiler.AddResource(address, tree); err != nil {
		return nil, fmt.Errorf("compile the description: %w", err)
	}
	const stream = "#/paths/~1v1~1stream/get/responses/200/content/"
	if d.events, err = d.compiler.Compile(address + stream + "text~1event-stream/itemSchema"); err == nil {
		d.lines, err = d.compiler.Compile(address + stream + "application~1x-ndjson/itemSchema")
	}
	if err != nil {
		return nil, fmt.Errorf("find what a stream consists of: %w", err)
	}
	return d, nil
}

// address is what the document is called where schemas refer to each other.
const address = "openapi:document"

// Event returns nil if a server-sent event is one that the description knows:
// exactly one of its kinds, with data as that one says.
func (d *Description) Event(e sse.Event) error {
	if err := d.events.Validate(members(e)); err != nil {
		return fmt.Errorf("event %q: %w", e.Type, err)
	}
	return nil
}

// members returns an event as its schema sees it.
func members(e sse.Event) map[string]any {
	m := map[string]any{"event": e.Type, "data": string(e.Data)}
	if e.ID != "" {
		m["id"] = e.ID
	}
	if e.Retry > 0 {
		m["retry"] = e.Retry.Milliseconds()
	}
	return m
}

// Line returns nil if a line of a stream in application/x-ndjson is one that the
// description knows. An empty line is a heartbeat.
func (d *Description) Line(line []byte) error {
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return nil
	}
	value, err := decode(line)
	if err == nil {
		err = d.lines.Validate(value)
	}
	if err != nil {
		return fmt.Errorf("line %.60q: %w", line, err)
	}
	return nil
}

// Schema returns nil if a JSON text fits a schema of the description's
// components.
func (d *Description) Schema(name string, text []byte) error {
	d.mu.Lock()
	schema, err := d.compiler.Compile(address + "#/components/schemas/" + name)
	d.mu.Unlock()
	if err != nil {
		return fmt.Errorf("find the schema %s: %w", name, err)
	}
	value, err := decode(text)
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		return fmt.Errorf("%.60q does not fit %s: %w", text, name, err)
	}
	return nil
}

// decode reads one JSON value, with its numbers as they are written.
func decode(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the value")
	}
	return value, nil
}
