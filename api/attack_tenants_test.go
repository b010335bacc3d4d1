package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"net/url"
	"strings"
	"testing"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams/filter"
)

func TestAttack30MerchantNamedInTheRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	r.probe(t, "GET", r.a,
		probe{"/v1/stream?merchant=b", nil, 400, "unknown-parameter"},
		probe{"/v1/stream?merchant=a&merchant=b", nil, 400, "unknown-parameter"},
		probe{"/v1/events?merchant=b", nil, 400, "unknown-parameter"},
		probe{"/v1/merchants/b/stream", nil, 404, "not-found"},
		probe{"/v1/stream/b", nil, 404, "not-found"},
		probe{"/v1/../v1/stream", nil, 404, "not-found"},
		probe{"/v1//stream", nil, 404, "not-found"},
	)
	v := r.watch(t, r.a, "?since=1h", "X-Merchant", "b")
	r.publish(t, "b", "order.paid", `{"canary":"of b"}`)
	r.publish(t, "a", "last", `1`)
	for _, e := range v.until(t, "last") {
		if strings.Contains(string(e.Data), "of b") {
			t.Errorf("an event of b: %s", e.Data)
		}
	}
	if got := r.do(t, "GET", "/v1/events", r.a, "", "X-Merchant", "b"); strings.Contains(got.body, "of b") {
		t.Errorf("history has an event of b: %s", got.body)
	}
}

func TestAttack32TypesOutsideTheScope(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	key := r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Clause: filter.Clause{Types: []string{"order.*"}}})
	got := r.do(t, "GET", "/v1/stream?types=payment.*", key, "")
	got.refused(t, "types=payment.*", 403, "scope-missing")
	if !strings.Contains(got.body, `"missing":["payment.*"]`) {
		t.Errorf("the scope is not named: %s", got.body)
	}
	r.publish(t, "a", "payment.failed", `1`)
	r.publish(t, "a", "order.paid", `2`)
	for _, e := range r.watch(t, key, "?types=*&since=1h").until(t, "order.paid") {
		if strings.HasPrefix(e.Type, "payment") {
			t.Errorf("the stream has %s", e.Type)
		}
	}
	if got := r.do(t, "GET", "/v1/events?types=*", key, ""); strings.Contains(got.body, "payment.failed") || !strings.Contains(got.body, "order.paid") {
		t.Errorf("history is %s", got.body)
	}
}

func TestAttack34GlobStaysInsideTheTenant(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	r.publish(t, "b", "order.paid", `"of b"`, `,"subject":"event/42/x"`)
	r.publish(t, "a", "order.paid", `"of a"`, `,"subject":"event/42/x"`)
	for _, glob := range []string{"*", "**", "../b/*", "event/42/*"} {
		got := r.do(t, "GET", "/v1/events?subject="+url.QueryEscape(glob), r.a, "")
		if got.status != 200 || strings.Contains(got.body, "of b") {
			t.Errorf("subject=%s: status %d, %s", glob, got.status, got.body)
		}
	}
	r.probe(t, "GET", r.a,
		probe{"/v1/stream?subject=" + strings.Repeat("*", 10_000), nil, 400, "filter-invalid"},
		probe{"/v1/stream?subject=" + strings.Repeat("a*", 17), nil, 400, "filter-invalid"},
	)
}

func TestAttack37RolesDoNotCross(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	adm := r.issue(t, auth.Key{Kind: auth.Adm})
	event := `{"merchant":"a","type":"x","data":1}`
	for in, got := range map[string]response{
		"publisher streams":  r.do(t, "GET", "/v1/stream", r.pub, ""),
		"publisher reads":    r.do(t, "GET", "/v1/events", r.pub, ""),
		"merchant publishes": r.do(t, "POST", "/v1/events", r.a, event),
		"admin publishes":    r.do(t, "POST", "/v1/events", adm, event),
		"admin streams":      r.do(t, "GET", "/v1/stream", adm, ""),
	} {
		got.refused(t, in, 403, "wrong-role")
	}
	for _, key := range []string{"", r.a, r.pub, adm} {
		r.probe(t, "GET", key,
			probe{"/metrics", nil, 404, "not-found"},
			probe{"/debug/pprof/", nil, 404, "not-found"},
			probe{"/healthz", nil, 404, "not-found"},
			probe{"/readyz", nil, 404, "not-found"},
		)
	}
}

func TestRestrictedPublisherStaysInItsBounds(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	key := r.issue(t, auth.Key{Kind: auth.Pub, Merchants: []string{"a"}, Clause: filter.Clause{Types: []string{"order.*"}}})
	for in, event := range map[string]string{
		"other merchant": `{"merchant":"b","type":"order.paid","data":1}`,
		"other type":     `{"merchant":"a","type":"payment.paid","data":1}`,
	} {
		r.do(t, "POST", "/v1/events", key, event).refused(t, in, 403, "scope-missing")
	}
	r.do(t, "POST", "/v1/events", r.pub, `{"merchant":"nobody","type":"x","data":1}`).refused(t, "no such merchant", 422, "unknown-merchant")
}

// Two merchants share one connection of HTTP/2, as behind a proxy: not a byte of
// one is in the stream of the other.
func TestAttack39TwoMerchantsOnOneConnection(t *testing.T) {
	r := startRig(t, eventlog.MemoryOptions{}, true)
	const each = 200
	canary := func(merchant string) string { return "canary-of-" + merchant }
	viewers := map[string]*viewer{"a": r.watch(t, r.a, ""), "b": r.watch(t, r.b, "")}
	for _, v := range viewers {
		if v.res.ProtoMajor != 2 {
			t.Fatalf("the stream came by %s", v.res.Proto)
		}
		v.next(t)
	}
	for i := range each {
		for merchant := range viewers {
			r.publish(t, merchant, "x.y", `"`+canary(merchant)+strings.Repeat("x", i)+`"`)
		}
	}
	for merchant, v := range viewers {
		other := map[string]string{"a": "b", "b": "a"}[merchant]
		for range each {
			if e := v.next(t); !strings.Contains(string(e.Data), canary(merchant)) || strings.Contains(string(e.Data), canary(other)) {
				t.Fatalf("%s received %.200s", merchant, e.Data)
			}
		}
	}
	r.alive(t)
}
