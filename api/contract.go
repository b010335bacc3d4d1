package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/paylogic/pushserver"
	"github.com/paylogic/pushserver/streams/filter"
)

// A contract is what openapi.yaml says about the parameters of requests. Requests
// are checked against it, so that the code cannot differ from the description.
//
// A contract does not check bodies: the validator would decode data, and numbers
// beyond float64 must reach their readers unchanged. The decoders check bodies, and
// tests compare the decoders with the description.
type contract struct {
	operations map[string]*routers.Route // by method and path: "GET /v1/stream"
	parameters map[string][]string       // the names in the query of each operation
	known      map[string]bool           // the names in any query
}

func readContract() (contract, error) {
	doc, err := openapi3.NewLoader().LoadFromData(pushserver.OpenAPI)
	if err != nil {
		return contract{}, fmt.Errorf("read openapi.yaml: %w", err)
	}
	// The validator compiles schemas of later versions for each value, which is ten
	// times as slow. Parameters use nothing that 3.0 lacks.
	doc.OpenAPI = "3.0.3"

	c := contract{operations: make(map[string]*routers.Route), parameters: make(map[string][]string), known: make(map[string]bool)}
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			// Handlers authenticate. The validator would read the whole body first.
			operation.Security = openapi3.NewSecurityRequirements()
			c.operations[method+" "+path] = &routers.Route{
				Spec: doc, Path: path, PathItem: item, Method: method, Operation: operation,
			}
			for _, p := range operation.Parameters {
				if p.Value.In == openapi3.ParameterInQuery {
					c.known[p.Value.Name] = true
					c.parameters[method+" "+path] = append(c.parameters[method+" "+path], p.Value.Name)
				}
			}
		}
	}
	return c, nil
}

// check returns a problem if a parameter has a value that the description of the
// operation does not allow. q is from [parseQuery]. An empty position counts as
// missing.
func (c contract) check(operation string, r *http.Request, q query) error {
	values := make(url.Values, len(q))
	for name, value := range q {
		if value != "" || !isPosition(name) {
			values[name] = []string{value}
		}
	}
	err := openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: r, QueryParams: values, Route: c.operations[operation],
		Options: &openapi3filter.Options{ExcludeRequestBody: true, SkipSettingDefaults: true},
	})
	if err == nil {
		return nil
	}
	// The error's text repeats the value, so only the parameter may be shown.
	var refused *openapi3filter.RequestError
	if !errors.As(err, &refused) || refused.Parameter == nil {
		return errors.New("api: the validator failed without naming a parameter")
	}
	name, rule := refused.Parameter.Name, ruleOf(refused.Parameter.Schema.Value)
	switch {
	case isPosition(name):
		return malformedPosition()
	case name == filter.PartTypes, name == filter.PartSubject, name == filter.PartFilter:
		return filterProblem(&filter.Error{Part: name, Reason: rule})
	}
	return parameterProblem(name, rule)
}

func isPosition(name string) bool {
	return name == "after" || name == "last_event_id" || name == "lastEventId"
}

// ruleOf says in words which values a schema allows.
func ruleOf(s *openapi3.Schema) string {
	switch {
	case len(s.Enum) > 0:
		options := make([]string, len(s.Enum))
		for i, option := range s.Enum {
			options[i] = fmt.Sprint(option)
		}
		return "must be " + strings.Join(options, " or ")
	case s.Min != nil && s.Max != nil:
		return fmt.Sprintf("must be a whole number from %v to %v", *s.Min, *s.Max)
	case s.MaxLength != nil:
		return fmt.Sprintf("must have %d to %d characters; leave the parameter out if you mean none", s.MinLength, *s.MaxLength)
	}
	return "must not be empty; leave the parameter out if you mean none"
}
