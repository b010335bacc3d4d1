package api

import (
	"github.com/paylogic/pushserver/api/cloudevents"
	"github.com/paylogic/pushserver/streams/eventlog"

	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/paylogic/pushserver"
)

// theDocument is the description as it is: OpenAPI 3.2, with its examples checked.
var theDocument = sync.OnceValue(func() *openapi3.T {
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(pushserver.OpenAPI)
	if err == nil {
		err = doc.Validate(loader.Context, openapi3.EnableExamplesValidation())
	}
	if err != nil {
		panic("openapi.yaml: " + err.Error())
	}
	return doc
})

// fits checks a JSON text against a schema of the description.
func fits(t *testing.T, schema, text string) {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Errorf("%s: %v", text, err)
		return
	}
	if err := theDocument().Components.Schemas[schema].Value.VisitJSON(value, openapi3.EnableJSONSchema2020()); err != nil {
		t.Errorf("%s does not fit %s: %v", text, schema, err)
	}
}

// Nothing is served that is not described, and nothing described that is not
// served.
func TestDescriptionAndRoutesAreTheSame(t *testing.T) {
	var described, served []string
	for path, item := range theDocument().Paths.Map() {
		for method := range item.Operations() {
			described = append(described, method+" "+path)
		}
	}
	for path, endpoint := range new(Server).endpoints() {
		for method := range endpoint {
			served = append(served, method+" "+path)
		}
	}
	slices.Sort(described)
	slices.Sort(served)
	if !slices.Equal(described, served) {
		t.Errorf("described %v\nserved    %v", described, served)
	}
}

// A handler that read the parameters of another operation would take the wrong
// ones.
func TestDescriptionHasTheParametersThatAreTaken(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	for path, item := range theDocument().Paths.Map() {
		for method, operation := range item.Operations() {
			key := r.a
			if method == http.MethodPost {
				key = r.pub
			}
			got := r.do(t, method, path+"?nothing=1", key, "")
			got.refused(t, path, 400, "unknown-parameter")
			var p struct{ Detail string }
			if err := json.Unmarshal([]byte(got.body), &p); err != nil {
				t.Fatal(err)
			}
			_, list, _ := strings.Cut(strings.TrimSuffix(p.Detail, "."), "Known parameters: ")
			var known, described []string
			if list != "" {
				known = strings.Split(list, ", ")
			}
			for _, p := range operation.Parameters {
				if p.Value.In == "query" {
					described = append(described, p.Value.Name)
				}
			}
			slices.Sort(known)
			slices.Sort(described)
			if !slices.Equal(known, described) {
				t.Errorf("%s %s takes %v, described are %v", method, path, known, described)
			}
		}
	}
}

func TestDescriptionHasEveryProblemOfTheSameNameAndStatus(t *testing.T) {
	var described []string
	for _, name := range theDocument().Components.Schemas["Problem"].Value.Properties["type"].Value.Enum {
		described = append(described, strings.TrimPrefix(name.(string), "/problems/"))
	}
	known := slices.Collect(maps.Keys(kinds))
	slices.Sort(known)
	slices.Sort(described)
	if !slices.Equal(known, described) {
		t.Errorf("known     %v\ndescribed %v", known, described)
	}
}

func TestValueThatTheDescriptionForbidsIsRefused(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	long := strings.Repeat("a", 3000)
	tests := []struct{ path, query, name string }{
		// An empty value is most likely a variable that was not set: what it
		// should have narrowed must not become wide.
		{"/v1/stream", "types=", "filter-invalid"},
		{"/v1/stream", "types=a,,b", "filter-invalid"},
		{"/v1/stream", "subject=", "filter-invalid"},
		{"/v1/stream", "filter=", "filter-invalid"},
		{"/v1/stream", "since=", "malformed-query"},
		{"/v1/stream", "envelope=", "malformed-query"},
		{"/v1/stream", "envelope=Data", "malformed-query"},
		{"/v1/stream", "filter=" + long, "filter-invalid"},
		{"/v1/stream", "subject=" + long, "filter-invalid"},
		{"/v1/stream", "since=" + long, "malformed-query"},
		{"/v1/stream", "last_event_id=x", "cursor-malformed"},
		{"/v1/events", "after=1-0-abcde%20", "cursor-malformed"},
		{"/v1/events", "limit=", "malformed-query"},
		{"/v1/events", "limit=0", "malformed-query"},
		{"/v1/events", "limit=1001", "malformed-query"},
		{"/v1/events", "limit=1.5", "malformed-query"},
		{"/v1/events", "limit=1e2", "malformed-query"},
		{"/v1/events", "limit=abc", "malformed-query"},
		{"/v1/events", "limit=99999999999999999999", "malformed-query"},
		{"/v1/events", "wait=31", "malformed-query"},
		{"/v1/events", "wait=-1", "malformed-query"},
	}
	for _, tt := range tests {
		got := r.do(t, "GET", tt.path+"?"+tt.query, r.a, "")
		got.refused(t, tt.query, 400, tt.name)
		fits(t, "Problem", got.body)
		if strings.Contains(got.body, long[:200]) {
			t.Errorf("%.60s: the answer repeats the input: %s", tt.query, got.body)
		}
		if tt.name == "malformed-query" || tt.name == "filter-invalid" {
			name, _, _ := strings.Cut(tt.query, "=")
			if !strings.Contains(got.body, `"parameter":"`+name+`"`) {
				t.Errorf("%.60s: the answer names another parameter: %s", tt.query, got.body)
			}
		}
	}
}

func TestEmptyPositionMeansNone(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	open := r.watch(t, r.a, "?last_event_id=&lastEventId=", "Last-Event-ID", "").next(t)
	if open.Type != "stream.open" || open.ID == "" {
		t.Errorf("got %+v, want stream.open at the head", open)
	}
	if got := r.do(t, "GET", "/v1/events?after=", r.a, ""); got.status != http.StatusOK {
		t.Errorf("after=: got %d %s", got.status, got.body)
	}
}

func TestAnswersFitTheDescription(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{Retention: eventlog.Retention{Events: 3}})
	first := r.publish(t, "a", "x.y", `{"n":1}`)
	for range 4 {
		r.publish(t, "a", "x.y", `9007199254740993`)
	}
	const event = `{"specversion":"1.0","id":"1","source":"/s","type":"x.y","merchant":"a","data":1}`
	tests := []struct {
		schema string
		got    response
		status int
	}{
		{"Me", r.do(t, "GET", "/v1/me", r.a, ""), 200},
		{"Me", r.do(t, "GET", "/v1/me", r.pub, ""), 200},
		{"Page", r.do(t, "GET", "/v1/events", r.a, ""), 200},
		{"Page", r.do(t, "GET", "/v1/events?envelope=data&limit=1", r.a, ""), 200},
		{"HistoryGone", r.do(t, "GET", "/v1/events?after="+first.Position.String(), r.a, ""), 410},
		{"Accepted", r.do(t, "POST", "/v1/events", r.pub, event, "Content-Type", cloudevents.StructuredType), 201},
		{"Accepted", r.do(t, "POST", "/v1/events", r.pub, event, "Content-Type", cloudevents.StructuredType), 200},
		{"BatchResult", r.do(t, "POST", "/v1/events", r.pub, "["+event+"]", "Content-Type", cloudevents.BatchType), 200},
		{"BatchResult", r.do(t, "POST", "/v1/events", r.pub, "["+event+",{}]", "Content-Type", cloudevents.BatchType), 207},
		{"Problem", r.do(t, "POST", "/v1/events", r.pub, "{}"), 422},
		{"Problem", r.do(t, "PUT", "/v1/events", r.a, ""), 405},
		{"Problem", r.do(t, "GET", "/nowhere", "", ""), 404},
	}
	for _, tt := range tests {
		if tt.got.status != tt.status {
			t.Errorf("%s: got %d %s, want %d", tt.schema, tt.got.status, tt.got.body, tt.status)
		}
		fits(t, tt.schema, tt.got.body)
	}
}

func TestEventsOfAStreamFitTheDescription(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{Retention: eventlog.Retention{Events: 3}})
	first := r.publish(t, "a", "x.y", `{"n":1}`)
	for range 4 {
		r.publish(t, "a", "x.y", `{"n":2}`)
	}
	for _, resume := range []string{first.Position.String(), "nonsense"} {
		v := r.watch(t, r.a, "", "Last-Event-ID", resume)
		events := v.until(t, "stream.live") // each was held to the description
		if events[0].Type != "stream.open" || events[1].Type != "stream.reset" {
			t.Errorf("%s: got %v", resume, events)
		}
		r.publish(t, "a", "x.y", `{"n":3}`)
		v.next(t)
	}
}

func TestDescriptionIsServedInEachForm(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	for path, want := range map[string]struct{ form, text string }{
		"/openapi.yaml": {"application/yaml", "openapi: 3.2.0\n"},
		"/openapi.json": {"application/json", `"openapi":"3.2.0"`},

		"/openapi-3.1.json": {"application/json", `"openapi":"3.1.1"`},
	} {
		got := r.do(t, "GET", path, "", "")
		if got.status != http.StatusOK || got.header.Get("Content-Type") != want.form || !strings.Contains(got.body, want.text) {
			t.Errorf("%s: got %d %v %.40q", path, got.status, got.header, got.body)
		}
	}
}

// BenchmarkContract is what the check adds to a connect. The bound is 25 µs.
func BenchmarkContract(b *testing.B) {
	c, err := readContract()
	if err != nil {
		b.Fatal(err)
	}
	const raw = "types=payment.*,ticket.availability&subject=event/42/*&filter=data.amount%3E10&since=10m&envelope=data&last_event_id=1763845200123-4-Tb09s"
	r := httptest.NewRequest("GET", "/v1/stream?"+raw, nil)
	q, err := parseQuery(r.URL.RawQuery, false, c.parameters["GET /v1/stream"]...)
	if err != nil {
		b.Fatal(err)
	}
	for name, q := range map[string]query{"all": q, "none": {}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.check("GET /v1/stream", r, q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
