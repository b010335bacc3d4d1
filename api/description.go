package api

import (
	"encoding/json"
	"fmt"
	"net/http"

	"gopkg.in/yaml.v3"

	"github.com/paylogic/pushserver"
)

// A description is openapi.yaml in the forms in which it is served.
type description struct {
	yaml, json []byte
}

func readDescription() (description, error) {
	var document map[string]any
	if err := yaml.Unmarshal(pushserver.OpenAPI, &document); err != nil {
		return description{}, fmt.Errorf("read openapi.yaml: %w", err)
	}
	text, err := json.Marshal(document)
	if err != nil {
		return description{}, fmt.Errorf("write openapi.yaml as JSON: %w", err)
	}
	return description{yaml: pushserver.OpenAPI, json: text}, nil
}

// describeYAML answers GET /openapi.yaml.
func (s *Server) describeYAML(w http.ResponseWriter, r *http.Request) error {
	return describe(w, r, "application/yaml", s.document.yaml)
}

// describeJSON answers GET /openapi.json.
func (s *Server) describeJSON(w http.ResponseWriter, r *http.Request) error {
	return describe(w, r, "application/json", s.document.json)
}

func describe(w http.ResponseWriter, r *http.Request, contentType string, text []byte) error {
	if _, err := parseQuery(r.URL.RawQuery, r.Header.Get("Authorization") != ""); err != nil {
		return err
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Access-Control-Allow-Origin", "*") // it is public
	_, _ = w.Write(text)                               // the client left; there is nobody to tell
	return nil
}
