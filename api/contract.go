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

// A contract holds requests to what openapi.yaml says about their parameters,
// so that the description cannot promise or forbid what the code does not.
//
// Bodies are not its business: the validator would decode data, and numbers
// that no float64 holds must reach their readers as they are. The scanner and
// the decoders check them, and tests compare those with the description.
type contract struct {
	operations map[string]*routers.Route // by method and path: "GET /v1/stream"
	parameters map[string][]string       // the names in the query of each operation
	known      map[string]bool           // the names in any query
}

// readContract reads the embedded description.
func readContract() (contract, error) {
	doc, err := openapi3.NewLoader().LoadFromData(pushserver.OpenAPI)
	if err != nil {
		return contract{}, fmt.Errorf("read openapi.yaml: %w", err)
	}
	// Schemas of later versions are compiled anew for each value, ten times as
	// slow. Those of parameters use nothing that 3.0 lacks.
	doc.OpenAPI = "3.0.3"

	c := contract{operations: make(map[string]*routers.Route), parameters: make(map[string][]string), known: make(map[string]bool)}
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			// The caller authenticates. The validator, asked to, would read the
			// body first, however large.
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

// check returns a problem if a parameter of the request has a value that the
// description of the operation does not allow. The query has been read by
// [parseQuery]; a position that is empty counts as missing.
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
	// The error's text repeats the value; only the parameter is used of it.
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

// ruleOf says in words what a schema asks of a parameter's value.
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
