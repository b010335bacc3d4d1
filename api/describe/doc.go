// Package describe composes the description of the API that is served: openapi.yaml
// and the types of a catalogue.
package describe
