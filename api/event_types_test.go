package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/paylogic/pushserver/api/catalog"
	"github.com/paylogic/pushserver/api/cloudevents"
	"github.com/paylogic/pushserver/api/conform"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams/filter"
)

// newShop returns a rig with the built-in catalogue.
func newShop(t testing.TB, rejectUnknown bool) *rig {
	return startRig(t, eventlog.MemoryOptions{}, false, func(c *Config) {
		c.Catalog, c.RejectUnknown = shop(), rejectUnknown
	})
}

func TestEventTypesAreThoseThatTheKeyMaySee(t *testing.T) {
	r := newShop(t, false)
	every := []string{"ticket.availability", "seat.status", "payment.succeeded", "payment.failed", "order.completed"}
	narrow := auth.Key{Kind: auth.Live, Merchant: "a", Clause: filter.Clause{Types: []string{"payment.*", "order.completed"}}}
	for name, tt := range map[string]struct {
		key  string
		want []string
	}{
		"merchant":           {r.a, every},
		"publisher":          {r.issue(t, auth.Key{Kind: auth.Pub, Clause: filter.Clause{Types: []string{"payment.*"}}}), every},
		"admin":              {r.issue(t, auth.Key{Kind: auth.Adm}), every},
		"some types":         {r.issue(t, narrow), every[2:]},
		"no types":           {r.issue(t, auth.Key{Kind: auth.Test, Merchant: "a", Clause: filter.Clause{Types: []string{"nothing"}}}), []string{}},
		"a scope of streams": {r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Scopes: []string{auth.Stream}}), every},
	} {
		got := r.do(t, "GET", "/v1/event-types", tt.key, "")
		var list struct {
			Types []struct{ Type string } `json:"event_types"`
		}
		if err := json.Unmarshal([]byte(got.body), &list); err != nil || got.status != http.StatusOK || list.Types == nil {
			t.Fatalf("%s: got %d %s", name, got.status, got.body)
		}
		var types []string
		for _, entry := range list.Types {
			types = append(types, entry.Type)
		}
		if !slices.Equal(types, tt.want) {
			t.Errorf("%s: got %v, want %v", name, types, tt.want)
		}
		for _, typ := range every {
			got := r.do(t, "GET", "/v1/event-types/"+typ, tt.key, "")
			if slices.Contains(tt.want, typ) {
				if got.status != http.StatusOK {
					t.Errorf("%s: %s: got %d %s", name, typ, got.status, got.body)
				}
				fits(t, "EventTypeEntry", got.body)
				continue
			}
			got.refused(t, name+": "+typ, 404, "not-found")
		}
	}
	for _, missing := range []string{"payment.paid", "payment", "%2e%2e", "payment.failed%2f"} {
		r.do(t, "GET", "/v1/event-types/"+missing, r.a, "").refused(t, missing, 404, "not-found")
	}
	r.do(t, "GET", "/v1/event-types", "", "").refused(t, "without a key", 401, "unauthenticated")
}

func TestEventTypeIsAsTheCatalogueHasIt(t *testing.T) {
	r := newShop(t, false)
	var got struct {
		Type, Title, Description string
		State, Deprecated        bool
		Schema                   json.RawMessage
		Examples                 []struct {
			Subject string
			Data    json.RawMessage
		}
	}
	body := r.do(t, "GET", "/v1/event-types/ticket.availability", r.a, "").body
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	want := shop().Type("ticket.availability")
	if got.Type != want.Name || got.Title != want.Title || got.Description != want.Description || !got.State || got.Deprecated {
		t.Errorf("got %s", body)
	}
	if string(got.Schema) != string(want.Schema()) || len(got.Examples) != 2 ||
		got.Examples[0].Subject != "event/42/type/7" || string(got.Examples[0].Data) != `{"available":9}` {
		t.Errorf("got %s", body)
	}
}

func TestDataOutsideItsSchemaIsRefusedAndNotStored(t *testing.T) {
	r := newShop(t, false)
	for data, want := range map[string][]string{
		`{"available":-1}`:       {"/data/available"},
		`{"available":"leaked"}`: {"/data/available"},
		`{}`:                     {"/data/available"},
		`{"status":"leaked","price":{"amount":1.5}}`:               {"/data/available", "/data/price/amount", "/data/price/currency", "/data/status"},
		`{"available":1,"price":{"amount":1,"currency":"leaked"}}`: {"/data/price/currency"},
	} {
		got := r.post(t, `{"merchant":"a","type":"ticket.availability","data":`+data+`}`)
		got.refused(t, data, 422, "schema-violation")
		fits(t, "Problem", got.body)
		var p struct {
			Errors []struct{ Pointer, Detail string }
		}
		if err := json.Unmarshal([]byte(got.body), &p); err != nil {
			t.Fatal(err)
		}
		var pointers []string
		for _, e := range p.Errors {
			pointers = append(pointers, e.Pointer)
		}
		if !slices.Equal(pointers, want) || strings.Contains(got.body, "leaked") {
			t.Errorf("%s: got %s, want errors at %v", data, got.body, want)
		}
	}
	binary := []string{"ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "seat.status", "ce-merchant", "a"}
	r.post(t, `{"status":"gone"}`, binary...).refused(t, "binary", 422, "schema-violation")
	binary[7] = "payment.failed"
	r.post(t, ``, binary...).refused(t, "binary without data", 422, "schema-violation")
	r.post(t, `{"merchant":"a","type":"payment.failed","data":null}`).refused(t, "null", 422, "schema-violation")
	r.post(t, `{"specversion":"1.0","id":"1","source":"/s","type":"payment.failed","merchant":"a"}`, "Content-Type", cloudevents.StructuredType).
		refused(t, "structured without data", 422, "schema-violation")
	if page := r.do(t, "GET", "/v1/events", r.a, ""); !strings.Contains(page.body, `"events":[]`) {
		t.Errorf("something was stored: %s", page.body)
	}
}

func TestBatchIsHeldToTheCatalogueEventByEvent(t *testing.T) {
	r := newShop(t, true)
	var batch []string
	for i, event := range []string{
		`"type":"seat.status","data":{"status":"held"}`,
		`"type":"seat.status","data":{"status":"gone"}`,
		`"type":"seat.state","data":{"status":"held"}`,
		`"type":"order.completed","data":{"status":"held"}`,
	} {
		batch = append(batch, fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/s","merchant":"a",%s}`, i, event))
	}
	got := r.post(t, "["+strings.Join(batch, ",")+"]", "Content-Type", cloudevents.BatchType)
	fits(t, "BatchResult", got.body)
	var answer struct {
		Results []struct {
			Status  int
			Problem struct{ Type string }
		}
	}
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil || len(answer.Results) != len(batch) {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	for i, want := range []string{"201 ", "422 /problems/schema-violation", "422 /problems/unknown-type", "422 /problems/schema-violation"} {
		if got := fmt.Sprintf("%d %s", answer.Results[i].Status, answer.Results[i].Problem.Type); got != want {
			t.Errorf("event %d: got %s, want %s", i, got, want)
		}
	}
}

func TestTypeOutsideTheCatalogueIsTakenUnlessThatIsRuledOut(t *testing.T) {
	newShop(t, false).publish(t, "a", "payment.paid", `"anything"`)
	newRig(t, eventlog.MemoryOptions{}).publish(t, "a", "ticket.availability", `"without a catalogue, anything"`)
	strict := newShop(t, true)
	got := strict.post(t, `{"merchant":"a","type":"payment.paid","data":1}`)
	got.refused(t, "payment.paid", 422, "unknown-type")
	fits(t, "Problem", got.body)
	strict.publish(t, "a", "seat.status", `{"status":"sold"}`)
}

// Who may not publish a type is not told what its schema would say.
func TestKeyIsAskedBeforeTheSchema(t *testing.T) {
	r := newShop(t, true)
	key := r.issue(t, auth.Key{Kind: auth.Pub, Clause: filter.Clause{Types: []string{"seat.*"}}})
	for _, body := range []string{
		`{"merchant":"a","type":"order.completed","data":1}`,
		`{"merchant":"a","type":"payment.paid","data":1}`,
	} {
		r.do(t, "POST", "/v1/events", key, body).refused(t, body, 403, "scope-missing")
	}
}

func TestNumbersWithinTheSchemaArriveAsTheyWere(t *testing.T) {
	r := newShop(t, true)
	for _, number := range []string{"9007199254740993", "1e400", "10.50e1", "123456789012345678901234567890"} {
		r.publish(t, "a", "ticket.availability", `{"available":`+number+`}`)
		page := r.do(t, "GET", "/v1/events?envelope=data", r.a, "").body
		if !strings.Contains(page, `{"available":`+number+`}`) {
			t.Errorf("%s did not arrive: %s", number, page)
		}
	}
}

func TestHostileDataForASchemaGetsAShortAnswer(t *testing.T) {
	r := newShop(t, true)
	for name, data := range map[string]string{
		"tickets":   `{"amount":1,"currency":"EUR","tickets":[` + strings.Repeat("{},", 80_000) + `{}]}`,
		"exponents": `{"amount":1e999999999999,"currency":"EUR","tickets":[` + strings.Repeat("1e999999,", 25_000) + `1]}`,
		"digits":    `{"amount":` + strings.Repeat("9", 250_000) + `.5,"currency":"EUR","tickets":[]}`,
		"levels":    `{"amount":` + strings.Repeat("[", 60) + strings.Repeat("]", 60) + `}`,
	} {
		r.post(t, `{"merchant":"a","type":"order.completed","data":`+data+`}`).refused(t, name, 422, "schema-violation")
	}
	r.alive(t)
}

// description reads what the server says to a key, as its holder would.
func (r *rig) description(t testing.TB, key string) *conform.Description {
	t.Helper()
	d, err := conform.Read([]byte(r.do(t, "GET", "/openapi.json", key, "").body))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// From what it is told, a client knows everything that it receives.
func TestWhatAKeyReceivesFitsWhatItIsTold(t *testing.T) {
	r := newShop(t, true)
	narrow := r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Clause: filter.Clause{Types: []string{"payment.*", "ticket.availability"}}})
	for _, typ := range shop().Types() {
		for _, e := range typ.Examples {
			r.publish(t, "a", typ.Name, string(e.Data), `,"subject":"`+e.Subject+`"`)
		}
	}
	for _, key := range []string{r.a, narrow} {
		told := r.description(t, key)
		for _, envelope := range []string{"cloudevents", "data"} {
			query := "?since=1h&envelope=" + envelope
			events := r.watch(t, key, query).until(t, "stream.live")
			if len(events) < 6 {
				t.Errorf("got only %d events", len(events))
			}
			for _, e := range events {
				if err := told.Event(e); err != nil {
					t.Errorf("%s: %v", envelope, err)
				}
			}
			lines := r.watch(t, key, query, "Accept", "application/x-ndjson").lines
			for {
				line, err := lines.ReadBytes('\n')
				if err != nil {
					t.Fatal(err)
				}
				if err := told.Line(line); err != nil {
					t.Errorf("%s: %v", envelope, err)
				}
				if strings.Contains(string(line), "stream.live") {
					break
				}
			}
			page := r.do(t, "GET", "/v1/events?envelope="+envelope, key, "").body
			if err := told.Schema("Page", []byte(page)); err != nil {
				t.Errorf("%s: %v", envelope, err)
			}
		}
	}
}

func TestDescriptionForAKeyHasItsTypesAlone(t *testing.T) {
	r := newShop(t, false)
	narrow := r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Clause: filter.Clause{Types: []string{"order.*"}}})
	for _, path := range []string{"/openapi.yaml", "/openapi.json", "/openapi-3.1.json"} {
		for name, tt := range map[string]struct {
			key string
			all bool
		}{"nobody": {"", true}, "merchant": {r.a, true}, "publisher": {r.pub, true}, "order.*": {narrow, false}} {
			got := r.do(t, "GET", path, tt.key, "")
			if got.status != http.StatusOK || !strings.Contains(got.body, "OrderCompletedDelivery") {
				t.Errorf("%s for %s: got %d without OrderCompletedDelivery", path, name, got.status)
			}
			if strings.Contains(got.body, "SeatStatusDelivery") != tt.all {
				t.Errorf("%s for %s: SeatStatusDelivery is there: %t", path, name, !tt.all)
			}
		}
		r.do(t, "GET", path, auth.Mint(auth.Live).Reveal(), "").refused(t, path, 401, "invalid-token")
	}
}

func TestCatalogueThatDoesNotFitTheDescriptionStopsTheStart(t *testing.T) {
	const text = "types: { cloud: { title: T, description: D, schema: true, examples: [ { data: 1 } ] } }"
	c, err := catalog.Parse("events.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, eventlog.MemoryOptions{})
	if _, err := New(Config{Log: r.log, Hub: r.hub, Keyring: auth.NewKeyring(r.store, auth.KeyringOptions{}), Catalog: c}); err == nil || !strings.Contains(err.Error(), "cloud") {
		t.Errorf("got %v", err)
	}
}

func TestNullTakesAStateBackWhateverItsSchema(t *testing.T) {
	r := newShop(t, false)
	r.publish(t, "a", "seat.status", `{"status":"sold"}`, `,"subject":"seat/A1"`)
	r.publish(t, "a", "seat.status", `null`, `,"subject":"seat/A1"`)
	if got := r.do(t, "GET", "/v1/state", r.a, ""); !strings.Contains(got.body, `"state":[]`) {
		t.Errorf("the state is %s", got.body)
	}
}

// shop returns a catalogue that asks for more than the built-in one.
func shop() *catalog.Catalog {
	c, err := catalog.Load("testdata/shop.yaml")
	if err != nil {
		panic(err)
	}
	return c
}
