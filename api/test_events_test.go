package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"encoding/json"
	"strings"
	"testing"

	"github.com/paylogic/pushserver/api/catalog"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams/filter"
)

func TestTestEventsReachTestStreamsAlone(t *testing.T) {
	r := startRig(t, eventlog.MemoryOptions{}, false, func(c *Config) { c.Catalog = catalog.Builtin() })
	test := r.issue(t, auth.Key{Kind: auth.Test, Merchant: "a"})
	some := r.issue(t, auth.Key{Kind: auth.Test, Merchant: "a", Clause: filter.Clause{Types: []string{"ticket.*"}}})
	live, tested := r.watch(t, r.a, ""), r.watch(t, test, "")
	live.next(t)
	tested.next(t)
	for _, body := range []string{`{"type":"payment.failed"}`, `{"type":"my.own","subject":"x/1","data":[1]}`} {
		got := r.do(t, "POST", "/v1/test/events", test, body)
		fits(t, "Accepted", got.body)
		if got.status != 201 {
			t.Fatalf("%s: status %d, %s", body, got.status, got.body)
		}
		if e := tested.next(t); !strings.Contains(string(e.Data), `"livemode":false`) || !strings.Contains(body, e.Type) {
			t.Errorf("%s arrives as %s %s", body, e.Type, e.Data)
		}
	}
	r.publish(t, "a", "my.own", "1", `,"livemode":false`)
	if e := tested.next(t); !strings.Contains(string(e.Data), `"livemode":false`) {
		t.Errorf("published with livemode false it arrives as %s", e.Data)
	}
	r.publish(t, "a", "my.own", "2")
	if e := live.next(t); !strings.HasSuffix(string(e.Data), `"data":2}`) || strings.Contains(string(e.Data), "livemode") {
		t.Errorf("the live key got %s", e.Data)
	}

	for _, probe := range []struct {
		key, body string
		status    int
		name      string
	}{
		{r.a, `{"type":"payment.failed"}`, 403, "wrong-mode"},
		{r.pub, `{"type":"payment.failed"}`, 403, "wrong-role"},
		{some, `{"type":"payment.failed"}`, 403, "scope-missing"},
		{test, `{"type":"payment.failed","data":{"amount":"many"}}`, 422, "schema-violation"},
		{test, `{"type":"my.own"}`, 422, "schema-violation"},
		{test, `{"type":"payment.failed","merchant":"b"}`, 422, "schema-violation"},
		{test, `{"type":"stream.reset","data":1}`, 422, "reserved-type"},
		{test, `{}`, 422, "schema-violation"},
		{test, `[]`, 400, "malformed-json"},
	} {
		r.do(t, "POST", "/v1/test/events", probe.key, probe.body).refused(t, probe.body, probe.status, probe.name)
	}
	r.alive(t)
}

func TestExplainNamesTheClauseThatRefuses(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	admin := r.issue(t, auth.Key{Kind: auth.Adm})
	key := r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Clause: filter.Clause{Types: []string{"payment.*"}, Subjects: []string{"order/*"}, Filter: "data.amount >= 100"}})
	var me account
	if err := json.Unmarshal([]byte(r.do(t, "GET", "/v1/me", key, "").body), &me); err != nil {
		t.Fatal(err)
	}
	for _, probe := range []struct{ event, refusedBy string }{
		{`{"type":"payment.made","subject":"order/1","data":{"amount":100}}`, ""},
		{`{"specversion":"1.0","id":"1","source":"/s","type":"payment.made","subject":"order/1","merchant":"a","data":{"amount":100}}`, ""},
		{`{"type":"payment.made","subject":"order/1","merchant":"b","data":{"amount":100}}`, "merchant"},
		{`{"type":"payment.made","subject":"order/1","livemode":false,"data":{"amount":100}}`, "mode"},
		{`{"type":"ticket.sold","subject":"order/1","data":{"amount":100}}`, "types"},
		{`{"type":"payment.made","subject":"seat/1","data":{"amount":100}}`, "subjects"},
		{`{"type":"payment.made","subject":"order/1","data":{"amount":99}}`, "filter"},
		{`{"type":"payment.made","subject":"order/1","data":{}}`, "filter"},
	} {
		for _, asked := range []response{
			r.do(t, "POST", "/v1/explain", key, `{"event":`+probe.event+`}`),
			r.do(t, "POST", "/v1/explain", admin, `{"key_id":"`+me.Key.ID+`","event":`+probe.event+`}`),
		} {
			fits(t, "Explanation", asked.body)
			var e explanation
			if err := json.Unmarshal([]byte(asked.body), &e); err != nil || asked.status != 200 {
				t.Fatalf("%s: status %d, %s", probe.event, asked.status, asked.body)
			}
			if e.RefusedBy != probe.refusedBy || e.Delivered != (probe.refusedBy == "") {
				t.Errorf("%s: %s, want %q to refuse it", probe.event, asked.body, probe.refusedBy)
			}
		}
	}
	for _, probe := range []struct {
		key, body string
		status    int
		name      string
	}{
		{r.b, `{"key_id":"` + me.Key.ID + `","event":{"type":"x.y","data":1}}`, 403, "wrong-role"},
		{r.pub, `{"event":{"type":"x.y","data":1}}`, 403, "wrong-role"},
		{admin, `{"event":{"type":"x.y","data":1}}`, 422, "schema-violation"},
		{admin, `{"key_id":"key_nobody","event":{"type":"x.y","data":1}}`, 404, "not-found"},
		{key, `{}`, 422, "schema-violation"},
		{key, `{"event":{"type":7}}`, 422, "schema-violation"},
		{key, `{"event":[]}`, 400, "malformed-json"},
	} {
		r.do(t, "POST", "/v1/explain", probe.key, probe.body).refused(t, probe.body, probe.status, probe.name)
	}
	r.alive(t)
}
