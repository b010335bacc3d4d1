package conform

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// An Exchange is a request and the answer to it.
type Exchange struct {
	Method, Path string // without the query
	RequestType  string // of the body: a media type
	Request      []byte
	Status       int
	Header       http.Header
	Answer       []byte // nothing of a stream
}

// Exchange returns nil if the description knows the answer: the status and the
// form for that operation, and a body that fits the schema. What was taken, with
// a status of success, must have fitted its schema, too. What is at no path of the
// description must be a problem.
func (d *Description) Exchange(e Exchange) error {
	if err := d.exchange(&e); err != nil {
		return fmt.Errorf("%s %s, answered with %d: %w", e.Method, e.Path, e.Status, err)
	}
	return nil
}

func (d *Description) exchange(e *Exchange) error {
	if id := e.Header.Get("X-Request-Id"); !strings.HasPrefix(id, "req_") {
		return fmt.Errorf("X-Request-Id is %q", id)
	}
	template, operation := d.operation(e.Method, e.Path)
	if operation == nil {
		return d.undescribed(e)
	}
	if e.Status/100 == 2 && e.Status != http.StatusMultiStatus && len(e.Request) > 0 && operation.RequestBody != nil {
		if err := d.taken(e, template, operation); err != nil {
			return fmt.Errorf("the request: %w", err)
		}
	}
	status := strconv.Itoa(e.Status)
	response := operation.Responses.Value(status)
	if response == nil {
		if e.Status < 400 {
			return errors.New("the operation has no such status")
		}
		status, response = "default", operation.Responses.Default()
	}
	if response == nil {
		return errors.New("the operation has no such status")
	}
	place := "#/paths/" + pointer(template) + "/" + strings.ToLower(describedAs(e.Method)) + "/responses/" + status
	if name, ok := strings.CutPrefix(response.Ref, "#/components/responses/"); ok {
		place = "#/components/responses/" + name
	}
	if e.Method == http.MethodHead {
		return nil // the header alone
	}
	form, err := mediaType(e.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	content := response.Value.Content[form]
	if content == nil {
		return fmt.Errorf("the operation does not answer with %s", form)
	}
	if content.Schema == nil || !strings.HasSuffix(form, "json") {
		return nil
	}
	return d.fits(place+"/content/"+pointer(form)+"/schema", e.Answer)
}

// undescribed looks at the answer to what the description does not have.
func (d *Description) undescribed(e *Exchange) error {
	switch form, _ := mediaType(e.Header.Get("Content-Type")); {
	case e.Method == http.MethodOptions && e.Status == http.StatusNoContent:
		return nil
	case e.Method == http.MethodHead, e.Status == http.StatusOK && !strings.HasPrefix(e.Path, "/v1/"):
		return nil // a page for people
	case form != "application/problem+json":
		return fmt.Errorf("the answer is %s, and no problem", form)
	}
	return d.Schema("Problem", e.Answer)
}

// taken looks at the body of a request that was not refused.
func (d *Description) taken(e *Exchange, template string, operation *openapi3.Operation) error {
	form, err := mediaType(e.RequestType)
	if err != nil {
		return err
	}
	if operation.RequestBody.Value.Content[form] == nil {
		return fmt.Errorf("the operation does not take %s", form)
	}
	return d.fits("#/paths/"+pointer(template)+"/"+strings.ToLower(e.Method)+"/requestBody/content/"+pointer(form)+"/schema", e.Request)
}

// fits compares a text with the schema at a place of the document.
func (d *Description) fits(place string, text []byte) error {
	d.mu.Lock()
	schema, err := d.compiler.Compile(address + place)
	d.mu.Unlock()
	if err != nil {
		return fmt.Errorf("find the schema: %w", err)
	}
	value, err := decode(text)
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		return fmt.Errorf("%.200q: %w", text, err)
	}
	return nil
}

// operation returns the operation at a path, and the path as it is described.
func (d *Description) operation(method, path string) (string, *openapi3.Operation) {
	segments := strings.Split(path, "/")
	for template, item := range d.document.Paths.Map() {
		parts := strings.Split(template, "/")
		same := len(parts) == len(segments)
		for i := 0; same && i < len(parts); i++ {
			same = parts[i] == segments[i] || strings.HasPrefix(parts[i], "{") && segments[i] != ""
		}
		if operation := item.GetOperation(describedAs(method)); same && operation != nil {
			return template, operation
		}
	}
	return "", nil
}

// describedAs is the method by which a method is described: HEAD is GET.
func describedAs(method string) string {
	switch method {
	case http.MethodHead:
		return http.MethodGet
	case http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete, http.MethodPut:
		return method
	}
	return http.MethodTrace // which nothing has
}

func mediaType(header string) (string, error) {
	form, _, err := mime.ParseMediaType(header)
	if err != nil {
		return "", fmt.Errorf("Content-Type is %q", header)
	}
	return form, nil
}

// pointer escapes a part of a JSON Pointer in a URL.
func pointer(part string) string {
	part = strings.NewReplacer("~", "~0", "/", "~1").Replace(part)
	return strings.NewReplacer("{", "%7B", "}", "%7D", "+", "%2B").Replace(part)
}
