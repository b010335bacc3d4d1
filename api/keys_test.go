package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/api/keys"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/eventlog"
)

// mustKey reads a key out of an answer.
func mustKey(t testing.TB, got response, status int) keys.View {
	t.Helper()
	var v keys.View
	if err := json.Unmarshal([]byte(got.body), &v); err != nil || got.status != status {
		t.Fatalf("status %d with %s, want %d and a key", got.status, got.body, status)
	}
	if etag := got.header.Get("ETag"); etag != fmt.Sprintf(`"%d"`, v.Revision) {
		t.Errorf("ETag is %s for revision %d", etag, v.Revision)
	}
	return v
}

func TestLifeOfAKey(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	admin := r.issue(t, auth.Key{Kind: auth.Adm})

	made := mustKey(t, r.do(t, "POST", "/v1/keys", admin,
		`{"kind":"live","merchant":"c","name":"shop","types":["payment.*"],"limits":{"streams":5,"connects":"30/m"}}`), 201)
	if made.Key == "" || made.Merchant != "c" || made.Revision != 1 {
		t.Fatalf("made %+v", made)
	}
	v := r.watch(t, made.Key, "")
	v.next(t)

	shown := mustKey(t, r.do(t, "GET", "/v1/keys/"+made.ID, admin, ""), 200)
	if shown.Key != "" || shown.Name != "shop" || shown.Limits.Of("connects") != (policy.Policy{Name: "connects", Quota: 30, Window: time.Minute}) {
		t.Errorf("shown as %+v", shown)
	}

	edited := mustKey(t, r.do(t, "PATCH", "/v1/keys/"+made.ID, admin, `{"types":["ticket.*"],"limits":null}`,
		"Content-Type", mergePatch, "If-Match", `"1"`), 200)
	if edited.Revision != 2 || edited.Name != "shop" || len(edited.Limits) != 0 || strings.Join(edited.Types, ",") != "ticket.*" {
		t.Errorf("edited to %+v", edited)
	}
	v.until(t, "stream.scope")
	r.do(t, "PATCH", "/v1/keys/"+made.ID, admin, `{"name":"other"}`, "Content-Type", mergePatch, "If-Match", `"1"`).
		refused(t, "an edit on top of an old revision", 412, "revision-conflict")

	rotated := mustKey(t, r.do(t, "POST", "/v1/keys/"+made.ID+"/rotate", admin, `{"overlap":"1h"}`), 200)
	if rotated.Key == "" || rotated.Key == made.Key || rotated.FormerUntil.IsZero() {
		t.Errorf("rotated to %+v", rotated)
	}
	for _, secret := range []string{made.Key, rotated.Key} {
		if got := r.do(t, "GET", "/v1/me", secret, ""); got.status != 200 {
			t.Errorf("within the overlap: status %d, %s", got.status, got.body)
		}
	}
	r.do(t, "POST", "/v1/keys/"+made.ID+"/rotate", admin, `{"overlap":60}`).
		refused(t, "a second rotation with an overlap", 409, "rotation-overlap")

	mustKey(t, r.do(t, "DELETE", "/v1/keys/"+made.ID, admin, ""), 200)
	revoked := mustKey(t, r.do(t, "DELETE", "/v1/keys/"+made.ID, admin, ""), 200)
	if revoked.Revoked.IsZero() {
		t.Errorf("revoked: %+v", revoked)
	}
	v.until(t, "stream.goodbye")
	r.do(t, "GET", "/v1/me", rotated.Key, "").refused(t, "a revoked key", 401, "key-revoked")
	r.do(t, "PATCH", "/v1/keys/"+made.ID, admin, `{"name":"x"}`, "Content-Type", mergePatch).
		refused(t, "an edit of a revoked key", 409, "key-ended")

	var page keys.AuditPage
	got := r.do(t, "GET", "/v1/audit", admin, "")
	if err := json.Unmarshal([]byte(got.body), &page); err != nil {
		t.Fatalf("%v: %s", err, got.body)
	}
	var actions []string
	for _, c := range page.Changes {
		if c.Key != made.ID || c.By == "" || c.By == made.ID || c.Time.IsZero() {
			t.Errorf("audited as %+v", c)
		}
		actions = append(actions, string(c.Action)+strings.Join(c.Fields, "+"))
	}
	if got, want := strings.Join(actions, " "), "key.created key.editedtypes+limits key.rotated key.revoked"; got != want {
		t.Errorf("audited: %s, want %s", got, want)
	}
	for _, secret := range []string{made.Key, rotated.Key, admin} {
		if strings.Contains(got.body, secret) || strings.Contains(r.logs.String(), secret) {
			t.Error("a secret stands in the audit or in a log")
		}
	}
}

func TestKeysAreListedPageByPage(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	admin := r.issue(t, auth.Key{Kind: auth.Adm}) // beside the three of the rig
	var seen []string
	for next := ""; ; {
		got := r.do(t, "GET", "/v1/keys?limit=3"+next, admin, "")
		var page struct {
			Keys []keys.View `json:"keys"`
			Next string      `json:"next"`
		}
		if err := json.Unmarshal([]byte(got.body), &page); err != nil || got.status != 200 {
			t.Fatalf("status %d, %s", got.status, got.body)
		}
		for _, k := range page.Keys {
			seen = append(seen, string(k.Kind))
		}
		if page.Next == "" {
			break
		}
		next = "&after=" + page.Next
	}
	slices.Sort(seen) // those of one millisecond have no order among them
	if got := strings.Join(seen, " "); got != "adm live live pub" {
		t.Errorf("listed: %s", got)
	}
}

func TestKeysBadInput(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	admin := r.issue(t, auth.Key{Kind: auth.Adm})
	existing := mustKey(t, r.do(t, "POST", "/v1/keys", admin, `{"kind":"live","merchant":"c"}`), 201)
	for _, probe := range []struct {
		body, pointer string
	}{
		{`{}`, "/kind"},
		{`{"kind":"root"}`, "/kind"},
		{`{"kind":"live"}`, "/merchant"},
		{`{"kind":"live","merchant":"Acme"}`, "/merchant"},
		{`{"kind":"live","merchant":"a","types":"payment.*"}`, "/types"},
		{`{"kind":"live","merchant":"a","types":["*a*"]}`, "/types"},
		{`{"kind":"live","merchant":"a","filter":"data.("}`, "/filter"},
		{`{"kind":"live","merchant":"a","scopes":["publish"]}`, "/scopes"},
		{`{"kind":"live","merchant":"a","origins":["https://shop.example/path"]}`, "/origins"},
		{`{"kind":"live","merchant":"a","limits":{"streams":0}}`, "/limits/streams"},
		{`{"kind":"live","merchant":"a","limits":{"streams":-1}}`, "/limits/streams"},
		{`{"kind":"live","merchant":"a","limits":{"connects":"many"}}`, "/limits/connects"},
		{`{"kind":"live","merchant":"a","limits":{"connects":"999999999/m"}}`, "/limits/connects"},
		{`{"kind":"live","merchant":"a","limits":{"beers":1}}`, "/limits"},
		{`{"kind":"live","merchant":"a","limits":[1]}`, "/limits"},
		{`{"kind":"live","merchant":"a","expires_at":"tomorrow"}`, "/expires_at"},
		{`{"kind":"live","merchant":"a","expires_at":"2001-01-01T00:00:00Z"}`, "/expires_at"},
		{`{"kind":"live","merchant":"a","id":"key_x"}`, "/id"},
	} {
		got := r.do(t, "POST", "/v1/keys", admin, probe.body)
		got.refused(t, probe.body, 422, "schema-violation")
		if !strings.Contains(got.body, `"pointer":"`+probe.pointer) {
			t.Errorf("%s: %s does not name %s", probe.body, got.body, probe.pointer)
		}
	}
	for _, probe := range []struct {
		method, target, body string
		header               []string
		status               int
		name                 string
	}{
		{"POST", "/v1/keys", `[]`, nil, 400, "malformed-json"},
		{"POST", "/v1/keys", `{"kind":"live","kind":"adm"}`, nil, 422, "duplicate-member"},
		{"POST", "/v1/keys", `{}`, []string{"Content-Type", "text/plain"}, 415, "unsupported-media-type"},
		{"POST", "/v1/keys", `{"name":"` + strings.Repeat("x", keyMax) + `"}`, nil, 413, "payload-too-large"},
		{"GET", "/v1/keys?limit=0", "", nil, 400, "malformed-query"},
		{"GET", "/v1/keys?limit=1001", "", nil, 400, "malformed-query"},
		{"GET", "/v1/keys?after=key_nobody", "", nil, 400, "malformed-query"},
		{"GET", "/v1/audit?after=x", "", nil, 400, "cursor-malformed"},
		{"GET", "/v1/keys/key_nobody", "", nil, 404, "not-found"},
		{"GET", "/v1/keys/" + existing.ID + "%2Fx", "", nil, 404, "not-found"},
		{"DELETE", "/v1/keys/" + existing.ID + "%2Fx", "", nil, 404, "not-found"},
		{"PATCH", "/v1/keys/key_nobody", "{}", []string{"Content-Type", mergePatch}, 404, "not-found"},
		{"PATCH", "/v1/keys/" + existing.ID, `{"kind":"test"}`, []string{"Content-Type", mergePatch}, 422, "schema-violation"},
		{"PATCH", "/v1/keys/" + existing.ID, `{"merchant":"d"}`, []string{"Content-Type", mergePatch}, 422, "schema-violation"},
		{"PATCH", "/v1/keys/" + existing.ID, `{}`, []string{"Content-Type", mergePatch, "If-Match", "1"}, 400, "malformed-request"},
		{"DELETE", "/v1/keys/key_nobody", "", nil, 404, "not-found"},
		{"POST", "/v1/keys/key_nobody/rotate", `{"overlap":0}`, nil, 404, "not-found"},
		{"POST", "/v1/keys/" + existing.ID + "/rotate", `{}`, nil, 422, "schema-violation"},
		{"POST", "/v1/keys/" + existing.ID + "/rotate", `{"overlap":"soon"}`, nil, 422, "schema-violation"},
		{"POST", "/v1/keys/" + existing.ID + "/rotate", `{"overlap":99999999}`, nil, 422, "schema-violation"},
		{"PUT", "/v1/keys/" + existing.ID, `{}`, nil, 405, "method-not-allowed"},
	} {
		r.do(t, probe.method, probe.target, admin, probe.body, probe.header...).
			refused(t, probe.method+" "+probe.target, probe.status, probe.name)
	}
	if still := mustKey(t, r.do(t, "GET", "/v1/keys/"+existing.ID, admin, ""), 200); still.Revision != 1 || !still.Revoked.IsZero() {
		t.Errorf("bad input has changed the key: %+v", still)
	}
	r.alive(t)
}

func TestAttack37OnlyAdminsAdminister(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	for _, key := range []string{r.a, r.pub} {
		for _, probe := range []struct{ method, target string }{
			{"GET", "/v1/keys"}, {"POST", "/v1/keys"}, {"GET", "/v1/keys/x"}, {"PATCH", "/v1/keys/x"},
			{"DELETE", "/v1/keys/x"}, {"POST", "/v1/keys/x/rotate"}, {"GET", "/v1/audit"},
		} {
			r.do(t, probe.method, probe.target, key, "{}").refused(t, probe.method+" "+probe.target, http.StatusForbidden, "wrong-role")
		}
	}
	r.do(t, "GET", "/v1/stream", r.pub, "").refused(t, "a publisher's stream", 403, "wrong-role")
	r.do(t, "POST", "/v1/events", r.a, `{"merchant":"a","type":"x"}`).refused(t, "a merchant's publish", 403, "wrong-role")
	for _, target := range []string{"/metrics", "/debug/pprof/", "/readyz"} {
		r.do(t, "GET", target, r.a, "").refused(t, target, 404, "not-found")
	}
	r.alive(t)
}
