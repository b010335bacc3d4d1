// Package pushserver holds the contract of the public API, so that the program
// that serves it carries it along.
package pushserver

import _ "embed"

// OpenAPI is openapi.yaml, an OpenAPI 3.2 document.
//
//go:embed openapi.yaml
var OpenAPI []byte
