package conform

import (
	"bufio"
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/paylogic/pushserver"
	"github.com/paylogic/pushserver/api/catalog"
	"github.com/paylogic/pushserver/api/describe"
	"github.com/paylogic/pushserver/streams/sse"
)

// described returns the description of the built-in catalogue.
func described(t testing.TB, others bool) *Description {
	t.Helper()
	types, err := catalog.Load("../testdata/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	composer, err := describe.New(pushserver.OpenAPI, types, others)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Read(composer.Describe(func(string) bool { return true }).JSON)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const cloudEvent = `{"specversion":"1.0","id":"1","source":"/s","type":"TYPE","merchant":"acme","data":DATA}`

func carried(typ, data string) string {
	return strings.NewReplacer("TYPE", typ, "DATA", data).Replace(cloudEvent)
}

const position = "1763845200123-4-Tb09s"

func TestEventIsHeldToItsKindAndItsData(t *testing.T) {
	tests := []struct {
		id, event, data string
		fits            bool
	}{
		{position, "ticket.availability", carried("ticket.availability", `{"available":9}`), true},
		{position, "ticket.availability", `{"available":9}`, true}, // envelope=data
		{"", "ticket.availability", carried("ticket.availability", `{"available":9}`), true},
		{position, "ticket.availability", carried("ticket.availability", `{"available":1e400}`), true},
		{position, "ticket.availability", carried("ticket.availability", `{"available":9007199254740993}`), true},
		{position, "ticket.availability", carried("ticket.availability", `{"available":-1}`), false},
		{position, "ticket.availability", carried("ticket.availability", `{}`), false},
		{position, "ticket.availability", carried("payment.failed", `{"available":9}`), false},
		{position, "ticket.availability", `{"available":"9"}`, false},
		{position, "ticket.availability", `{"available":9} {}`, false},
		{position, "ticket.availability", `{"available":`, false},
		{"17", "ticket.availability", carried("ticket.availability", `{"available":9}`), false},
		{position, "payment.paid", carried("payment.paid", `[1]`), true},
		{position, "payment.paid", `[1]`, true},
		{position, "stream.open", `{"connection":"con_5mGk0TqVb2LxYw8J","heartbeat_ms":15000}`, true},
		{position, "stream.open", `{"connection":"5mGk0TqVb2LxYw8J","heartbeat_ms":15000}`, false},
		{position, "stream.open", `{}`, false},
		{position, "stream.live", `{}`, true},
		{"", "stream.live", `{}`, false},
		{position, "stream.cursor", `{}`, true},
		{position, "stream.cursor", ``, false},
		{"", "stream.reset", `{"reason":"trimmed","requested":"x","resume_from":"` + position + `"}`, true},
		{"", "stream.reset", `{"reason":"bored"}`, false},
		{"", "stream.lag", `{"reason":"storage","behind_ms":1500}`, true},
		{"", "stream.lag", `{"reason":"storage"}`, false},
		{"", "stream.scope", `{"types":["payment.*"],"subjects":["order/*"],"filter":"true"}`, true},
		{"", "stream.scope", `{"subjects":["order/*"]}`, false},
		{"", "stream.expiring", `{"at":"2025-11-22T21:00:00Z","in_ms":60000}`, true},
		{"", "stream.expiring", `{"at":"soon","in_ms":60000}`, false},
		{"", "stream.problem", `{"type":"/problems/invalid-token","title":"x","status":401,"detail":"x","request_id":"req_2hRk0TqVb2LxYw8J","permanent":true,"retry_ms":3600000}`, true},
		{"", "stream.problem", `{"type":"/problems/none","title":"x","status":401,"detail":"x","request_id":"req_2hRk0TqVb2LxYw8J"}`, false},
		{"", "stream.goodbye", `{"reason":"draining","reconnect":true,"retry_ms":250}`, true},
		{"", "stream.goodbye", `{"reconnect":true}`, false},
		{"", "stream.surprise", `{}`, false},
		{position, "stream.surprise", `{}`, false},
	}
	d := described(t, true)
	for _, tt := range tests {
		e := sse.Event{ID: tt.id, Type: tt.event, Data: []byte(tt.data)}
		if err := d.Event(e); (err == nil) != tt.fits {
			t.Errorf("event %q with id %q and data %s: got %v, want fit %t", tt.event, tt.id, tt.data, err, tt.fits)
		}
		if err := d.eventByKin(e); (err == nil) != tt.fits {
			t.Errorf("event %q with id %q and data %s: kin-openapi says %v, want fit %t", tt.event, tt.id, tt.data, err, tt.fits)
		}
		line := `{"event":"` + tt.event + `","data":` + tt.data + `}`
		if tt.id != "" {
			line = `{"id":"` + tt.id + `",` + line[1:]
		}
		if err := d.Line([]byte(line)); (err == nil) != tt.fits {
			t.Errorf("line %s: got %v, want fit %t", line, err, tt.fits)
		}
	}
}

// eventByKin is Event by kin-openapi. It does not look at what is within a text,
// so the kind of the event is found and then its data.
func (d *Description) eventByKin(e sse.Event) error {
	strict := openapi3.EnableJSONSchema2020()
	union := d.document.Paths.Value("/v1/stream").Get.Responses.Value("200").Value.Content.Get("text/event-stream").ItemSchema.Value
	if err := union.VisitJSON(members(e), strict); err != nil {
		return err
	}
	for _, option := range union.OneOf {
		if option.Value.VisitJSON(members(e), strict) != nil {
			continue
		}
		data, err := decode(e.Data)
		if err != nil {
			return err
		}
		return option.Value.Properties["data"].Value.ContentSchema.Value.VisitJSON(data, strict)
	}
	return errors.New("the description has no word for it")
}

func TestTypeOutsideTheCatalogueFitsOnlyWhereTheyAreAllowed(t *testing.T) {
	e := sse.Event{ID: position, Type: "payment.paid", Data: []byte(carried("payment.paid", "1"))}
	if err := described(t, true).Event(e); err != nil {
		t.Errorf("with others: %v", err)
	}
	if err := described(t, false).Event(e); err == nil {
		t.Error("without others, it fits")
	}
}

// What the document shows as an example is what it describes.
func TestExamplesOnTheWireFitTheDescription(t *testing.T) {
	d := described(t, false)
	content := d.document.Paths.Value("/v1/stream").Get.Responses.Value("200").Value.Content
	events := 0
	for name, example := range content.Get("text/event-stream").Examples {
		decoder := sse.NewDecoder(strings.NewReader(example.Value.Value.(string)))
		for {
			e, err := decoder.Next()
			if err != nil {
				break
			}
			events++
			if err := d.Event(e); err != nil {
				t.Errorf("example %s: %v", name, err)
			}
		}
	}
	for name, example := range content.Get("application/x-ndjson").Examples {
		lines := bufio.NewScanner(strings.NewReader(example.Value.Value.(string)))
		for lines.Scan() {
			events++
			if err := d.Line(bytes.Clone(lines.Bytes())); err != nil {
				t.Errorf("example %s: %v", name, err)
			}
		}
	}
	if events < 20 {
		t.Errorf("only %d events were found in the examples", events)
	}
}

// BenchmarkEvent is what a check adds to a test of many events.
func BenchmarkEvent(b *testing.B) {
	d := described(b, true)
	for name, e := range map[string]sse.Event{
		"delivery": {ID: position, Type: "order.completed", Data: []byte(carried("order.completed",
			`{"amount":1,"currency":"EUR","tickets":[{"event":"42","type":"7","quantity":1}]}`))},
		"control": {ID: position, Type: "stream.live", Data: []byte("{}")},
	} {
		for by, check := range map[string]func(sse.Event) error{"ours": d.Event, "kin": d.eventByKin} {
			b.Run(name+"/"+by, func(b *testing.B) {
				for b.Loop() {
					if err := check(e); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
