package describe

import (
	"github.com/paylogic/pushserver/api/catalog"
	"github.com/paylogic/pushserver/internal/yamltree"

	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"go.yaml.in/yaml/v3"

	"github.com/paylogic/pushserver"
)

func parseType(t testing.TB, schema, data string) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Parse("test.yaml", []byte(oneType(schema, data)))
	if err != nil {
		t.Fatalf("schema %s: %v", schema, err)
	}
	return c
}

func oneType(schema, data string) string {
	return "types:\n  x.y:\n    title: T\n    description: D\n    schema: " + schema + "\n    examples:\n      - data: " + data + "\n"
}

func newComposer(t testing.TB, c *catalog.Catalog, others bool) *Composer {
	t.Helper()
	composer, err := New(pushserver.OpenAPI, c, others)
	if err != nil {
		t.Fatal(err)
	}
	return composer
}

func everything(string) bool { return true }

func only(names ...string) func(string) bool {
	return func(name string) bool { return slices.Contains(names, name) }
}

// openAPI reads a document as a stranger does.
func openAPI(t testing.TB, text []byte) *openapi3.T {
	t.Helper()
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(text)
	if err == nil {
		err = doc.Validate(loader.Context, openapi3.EnableExamplesValidation())
	}
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestEveryFormIsValidAndSaysTheSame(t *testing.T) {
	for name, visible := range map[string]func(string) bool{
		"all": everything, "none": only(), "one": only("seat.status"), "two": only("payment.failed", "payment.succeeded"),
	} {
		for _, others := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/%t", name, others), func(t *testing.T) {
				d := newComposer(t, catalog.Builtin(), others).Describe(visible)
				if got := openAPI(t, d.YAML).OpenAPI; got != "3.2.0" {
					t.Errorf("the version is %s", got)
				}
				openAPI(t, d.JSON)
				if got := openAPI(t, d.JSON31).OpenAPI; got != "3.1.1" {
					t.Errorf("the version of the older form is %s", got)
				}
				if fromYAML, fromJSON := readYAML(t, d.YAML), readYAML(t, d.JSON); !reflect.DeepEqual(fromYAML, fromJSON) {
					t.Error("YAML and JSON differ")
				}
			})
		}
	}
}

// readYAML reads YAML, and so JSON.
func readYAML(t testing.TB, text []byte) (value any) {
	t.Helper()
	if err := yaml.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestWithoutTypesTheDescriptionIsTheBase(t *testing.T) {
	d := newComposer(t, new(catalog.Catalog), true).Describe(everything)
	if got, want := readYAML(t, d.YAML), readYAML(t, pushserver.OpenAPI); !reflect.DeepEqual(got, want) {
		t.Error("YAML differs from openapi.yaml")
	}
}

func TestStreamHasAKindOfEventForEachType(t *testing.T) {
	doc := openAPI(t, newComposer(t, catalog.Builtin(), true).Describe(everything).JSON)
	content := doc.Paths.Value("/v1/stream").Get.Responses.Value("200").Value.Content
	for form, suffix := range map[string]string{"text/event-stream": "Delivery", "application/x-ndjson": "Item"} {
		stream := content.Get(form)
		var refs []string
		for _, option := range stream.ItemSchema.Value.OneOf {
			refs = append(refs, strings.TrimPrefix(option.Ref, "#/components/schemas/"))
		}
		for _, name := range []string{"TicketAvailability", "SeatStatus", "PaymentSucceeded", "PaymentFailed", "OrderCompleted"} {
			if !slices.Contains(refs, name+suffix) {
				t.Errorf("%s: no %s among %v", form, name+suffix, refs)
			}
		}
		if !slices.Contains(refs, suffix) {
			t.Errorf("%s: no general kind among %v", form, refs)
		}
		for _, typ := range catalog.Builtin().Types() {
			example := stream.Examples[typ.Name]
			if example == nil || !strings.Contains(example.Value.Value.(string), typ.Name) {
				t.Errorf("%s: no example of %s", form, typ.Name)
			}
		}
	}
	event := doc.Components.Schemas["SeatStatusDelivery"].Value.Properties
	if got := event["event"].Value.Const; got != "seat.status" {
		t.Errorf("the event's type is %v", got)
	}
	data := event["data"].Value
	if data.ContentMediaType != "application/json" || len(data.ContentSchema.Value.AnyOf) != 2 {
		t.Errorf("the event's data is %+v", data)
	}
	own := doc.Components.Schemas["SeatStatusEvent"].Value.AllOf[1].Value
	if value := own.Properties["data"].Value.AnyOf; own.Properties["type"].Value.Const != "seat.status" ||
		len(value) != 2 || value[0].Ref != "#/components/schemas/SeatStatusData" || !value[1].Value.Type.Is("null") {
		t.Errorf("the CloudEvent of a state is %+v", own)
	}
	own = doc.Components.Schemas["PaymentFailedEvent"].Value.AllOf[1].Value
	if own.Properties["data"].Ref != "#/components/schemas/PaymentFailedData" || !slices.Equal(own.Required, []string{"data"}) {
		t.Errorf("the CloudEvent is %+v", own)
	}
	items := doc.Components.Schemas["Page"].Value.Properties["events"].Value.Items.Value
	if len(items.OneOf) != 6 {
		t.Errorf("history has %d kinds of events, want 6", len(items.OneOf))
	}
}

// A caller that may not see a type does not learn of it.
func TestTypesThatAreNotVisibleAreNowhere(t *testing.T) {
	c, err := catalog.Parse("x", []byte(strings.ReplaceAll(oneType("{ properties: { hush: true } }", "{ hush: 1 }"), "x.y", "secret.thing")+
		strings.TrimPrefix(strings.ReplaceAll(oneType("{ const: known }", "known"), "x.y", "open.thing"), "types:\n")))
	if err != nil {
		t.Fatal(err)
	}
	for _, others := range []bool{true, false} {
		d := newComposer(t, c, others).Describe(only("open.thing"))
		for form, text := range map[string][]byte{"YAML": d.YAML, "JSON": d.JSON, "3.1": d.JSON31} {
			for _, hidden := range []string{"secret.thing", "SecretThing", "hush"} {
				if bytes.Contains(text, []byte(hidden)) {
					t.Errorf("others %t, %s: %s is in it", others, form, hidden)
				}
			}
			if !bytes.Contains(text, []byte("OpenThingDelivery")) {
				t.Errorf("others %t, %s: OpenThingDelivery is not in it", others, form)
			}
		}
		// Examples of delivered events show types that are described.
		doc := openAPI(t, d.JSON)
		for name, example := range doc.Paths.Value("/v1/stream").Get.Responses.Value("200").Value.Content.Get("text/event-stream").Examples {
			if text := example.Value.Value.(string); strings.Contains(text, "ticket.availability") {
				t.Errorf("others %t: example %s shows %s", others, name, text)
			}
		}
	}
}

func TestWithoutOthersTheGeneralKindIsGone(t *testing.T) {
	for others, want := range map[bool]bool{true: true, false: false} {
		doc := openAPI(t, newComposer(t, catalog.Builtin(), others).Describe(everything).JSON)
		for _, name := range []string{"Delivery", "Item"} {
			if got := doc.Components.Schemas[name] != nil; got != want {
				t.Errorf("others %t: schema %s is there: %t", others, name, got)
			}
		}
	}
}

func TestOlderFormHasNothingOfTheNewer(t *testing.T) {
	d := newComposer(t, catalog.Builtin(), true).Describe(everything)
	if bytes.Contains(d.JSON31, []byte("itemSchema\":")) {
		t.Error("itemSchema is in it")
	}
	response := openAPI(t, d.JSON31).Paths.Value("/v1/stream").Get.Responses.Value("200").Value
	for form, ref := range map[string]string{"text/event-stream": "ServerSentEvent", "application/x-ndjson": "StreamLine"} {
		if got := response.Content.Get(form).Schema; got == nil || got.Ref != "#/components/schemas/"+ref {
			t.Errorf("%s: the schema is %+v", form, got)
		}
	}
	for _, shown := range []string{"event: stream.open\n", "event: seat.status\n", `"event":"seat.status"`} {
		if !strings.Contains(*response.Description, shown) {
			t.Errorf("the text lacks %q", shown)
		}
	}
}

func TestSameTypesMakeTheSameBytes(t *testing.T) {
	first := newComposer(t, catalog.Builtin(), true).Describe(everything)
	again := newComposer(t, catalog.Builtin(), true).Describe(everything)
	if !bytes.Equal(first.YAML, again.YAML) || !bytes.Equal(first.JSON, again.JSON) || !bytes.Equal(first.JSON31, again.JSON31) {
		t.Error("they differ")
	}
}

func TestDescriptionsAreKeptUpToABound(t *testing.T) {
	var text strings.Builder
	text.WriteString("types:\n")
	for i := range 8 {
		text.WriteString(strings.TrimPrefix(strings.ReplaceAll(oneType("true", "1"), "x.y", fmt.Sprintf("t%d", i)), "types:\n"))
	}
	c, err := catalog.Parse("x", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	composer := newComposer(t, c, true)
	sees := func(set int) func(string) bool {
		return func(name string) bool { return set>>(name[1]-'0')&1 == 1 }
	}
	if first, again := composer.Describe(sees(5)), composer.Describe(sees(5)); first != again {
		t.Error("the same set is composed twice")
	}
	for set := range documentsMax + 8 {
		d := composer.Describe(sees(set))
		for bit := range 8 {
			if got, want := bytes.Contains(d.JSON, fmt.Appendf(nil, `"T%dData"`, bit)), set>>bit&1 == 1; got != want {
				t.Fatalf("set %b has type %d: %t", set, bit, got)
			}
		}
		if len(composer.cache) > documentsMax {
			t.Fatalf("%d descriptions are kept", len(composer.cache))
		}
	}
}

func TestTypeOfTheNameOfASchemaIsRefused(t *testing.T) {
	tests := []struct{ document, says string }{
		{"openapi: 3.2.0", "no schema Delivery"},
		{"a: [", "line 1"},
		{string(pushserver.OpenAPI), "schema CloudEvent of its own"},
	}
	c, err := catalog.Parse("x", []byte(strings.ReplaceAll(oneType("true", "1"), "x.y", "cloud")))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		if _, err := New([]byte(tt.document), c, true); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%.20q: got %v, want %q", tt.document, err, tt.says)
		}
	}
}

func TestNumbersOfExamplesKeepTheirDigits(t *testing.T) {
	c := parseType(t, "{ type: object, properties: { n: { maximum: 9007199254740993 } } }", `{ n: -1e400, m: 9007199254740993, s: "1e400", t: "1" }`)
	d := newComposer(t, c, true).Describe(everything)
	const want = `{"n":-1e400,"m":9007199254740993,"s":"1e400","t":"1"}`
	var doc struct {
		Components struct {
			Schemas map[string]struct{ Examples []json.RawMessage }
		}
	}
	if err := json.Unmarshal(d.JSON, &doc); err != nil {
		t.Fatal(err)
	}
	if got := doc.Components.Schemas["XYData"].Examples; len(got) != 1 || string(got[0]) != want {
		t.Errorf("JSON has %s, want %s", got, want)
	}
	root, f := yamltree.Read(d.YAML)
	if f != nil {
		t.Fatal(f.Reason)
	}
	if got := yamltree.AppendJSON(nil, yamltree.Find(root, "components", "schemas", "XYData", "examples")); string(got) != "["+want+"]" {
		t.Errorf("YAML has %s, want %s", got, want)
	}
}

// BenchmarkDescribe is what a request for the description costs: new for a set
// of types that was not asked for lately, kept for the others.
func BenchmarkDescribe(b *testing.B) {
	composer := newComposer(b, catalog.Builtin(), true)
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			composer.describe(composer.types)
		}
	})
	b.Run("kept", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			composer.Describe(everything)
		}
	})
}
