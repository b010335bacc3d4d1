package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams/filter"
)

// newTokenRig returns a rig that mints tokens.
func newTokenRig(t *testing.T) *rig {
	t.Helper()
	tokens, err := auth.NewTokens(auth.TokenOptions{Secrets: []auth.SigningSecret{auth.NewSigningSecret()}})
	if err != nil {
		t.Fatal(err)
	}
	return startRig(t, eventlog.MemoryOptions{}, false, func(c *Config) { c.Tokens = tokens })
}

const shopOrigin = "https://shop.example"

// mint returns a token of the key for the shop's pages.
func (r *rig) mint(t *testing.T, key, body string) string {
	t.Helper()
	got := r.do(t, "POST", "/v1/tokens", key, body)
	fits(t, "Token", got.body)
	var minted mintedToken
	if got.status != http.StatusCreated || json.Unmarshal([]byte(got.body), &minted) != nil {
		t.Fatalf("mint %s: status %d, %s", body, got.status, got.body)
	}
	return minted.Token
}

// announce tells the gateway of a change as another one would.
func (r *rig) announce(t *testing.T, action auth.Action, key *auth.Key) {
	t.Helper()
	data, err := json.Marshal(auth.NewChange(action, key, auth.CLI))
	if err != nil {
		t.Fatal(err)
	}
	receipts, err := r.log.Append(t.Context(), auth.ControlLog, []eventlog.Event{{
		ID: string(action) + time.Now().String(), Source: "/test", Type: string(action), Data: data,
	}})
	if err != nil || receipts[0].Err != nil {
		t.Fatal(err, receipts)
	}
}

// keyOf returns the record of a key.
func (r *rig) keyOf(t *testing.T, text string) *auth.Key {
	t.Helper()
	secret, err := auth.ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	key, err := r.store.Find(t.Context(), secret.Hash())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestAttack77TokenWorksFromItsOriginAlone(t *testing.T) {
	r := newTokenRig(t)
	token := r.mint(t, r.a, `{"types":["order.*"],"origin":"`+shopOrigin+`","ttl":60}`)
	page := r.watch(t, "", "?access_token="+token, "Origin", shopOrigin)
	if h := page.res.Header; h.Get("Access-Control-Allow-Origin") != shopOrigin || h.Get("Access-Control-Allow-Credentials") != "" ||
		!strings.Contains(h.Get("Vary"), "Origin") || h.Get("Cache-Control") != "no-store, no-transform" {
		t.Errorf("the stream's header is %v", h)
	}
	page.until(t, "stream.open")
	r.publish(t, "a", "seat.status", `1`)
	r.publish(t, "b", "order.completed", `{}`)
	r.publish(t, "a", "order.completed", `{}`)
	if e := page.next(t); e.Type != "order.completed" || !strings.Contains(string(e.Data), `"merchant":"a"`) {
		t.Errorf("the page got %+v", e)
	}
	refusedFrom(t, r, token, "https://evil")
	r.alive(t)
}

// refusedFrom checks that pages of these origins can do nothing with a token.
func refusedFrom(t *testing.T, r *rig, token string, origins ...string) {
	t.Helper()
	for _, origin := range origins {
		for where, got := range map[string]response{
			"query":  r.do(t, "GET", "/v1/stream?access_token="+token, "", "", "Origin", origin),
			"header": r.do(t, "GET", "/v1/stream", token, "", "Origin", origin),
		} {
			got.refused(t, where+" from "+origin[:min(40, len(origin))], 403, "origin-not-allowed")
			if got.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("from %.40s: the answer may be read by %s", origin, got.header.Get("Access-Control-Allow-Origin"))
			}
		}
	}
}

func TestAttack78OriginsThatOnlyLookLikeIt(t *testing.T) {
	r := newTokenRig(t)
	refusedFrom(t, r, r.mint(t, r.a, `{"origin":"`+shopOrigin+`"}`), "null", "https://shop.example.evil", "https://evilshop.example",
		"http://shop.example", "https://shop.example:8443", "https://SHOP.example", "https://"+strings.Repeat("a", 8000))
	r.alive(t)
}

func TestAttack79KeyInABrowser(t *testing.T) {
	r := newTokenRig(t)
	r.do(t, "GET", "/v1/stream", r.a, "", "Origin", shopOrigin).refused(t, "a key in a browser", 403, "secret-key-in-browser")
	r.alive(t)
}

func TestAttack81CookiesAreNoCredentials(t *testing.T) {
	r := newTokenRig(t)
	token := r.mint(t, r.a, `{"origin":"`+shopOrigin+`"}`)
	r.do(t, "GET", "/v1/stream", "", "", "Cookie", "access_token="+token).refused(t, "a cookie", 401, "unauthenticated")
	r.alive(t)
}

func TestTokenReadsAndNothingElse(t *testing.T) {
	r := newTokenRig(t)
	token := r.mint(t, r.a, `{"origin":"`+shopOrigin+`"}`)
	for _, target := range []string{"/v1/events", "/v1/state", "/v1/me", "/v1/event-types"} {
		if got := r.do(t, "GET", target, token, "", "Origin", shopOrigin); got.status != http.StatusOK {
			t.Errorf("GET %s with a token: %d %s", target, got.status, got.body)
		}
	}
	r.do(t, "POST", "/v1/events", token, `{"merchant":"a","type":"x.y","data":1}`).refused(t, "publish", 403, "wrong-role")
	r.do(t, "POST", "/v1/tokens", token, `{"origin":"`+shopOrigin+`"}`).refused(t, "mint", 403, "wrong-role")
	r.do(t, "GET", "/v1/events?access_token="+token, "", "").refused(t, "in the query of history", 400, "credential-in-url")
	r.do(t, "GET", "/v1/stream?errors=http&access_token="+token, token, "").refused(t, "twice", 400, "ambiguous-credentials")
	r.do(t, "GET", "/v1/stream?access_token="+r.a, "", "").refused(t, "a key in the query", 400, "credential-in-url")
	if strings.Contains(r.logs.String(), token) || strings.Contains(r.logs.String(), r.a) {
		t.Error("a credential is in the log")
	}
}

func TestTokenIsNeverWiderThanItsKey(t *testing.T) {
	r := newTokenRig(t)
	key := r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Clause: filter.Clause{Types: []string{"order.*"}}, Origins: []string{shopOrigin}})
	for body, pointer := range map[string]string{
		`{"types":["payment.*"],"origin":"` + shopOrigin + `"}`: "/types",
		`{"origin":"https://other.example"}`:                    "/origin",
		`{"origin":"*"}`:                                        "/origin",
		`{}`:                                                    "/origin",
		`{"origin":"` + shopOrigin + `","ttl":"1000h"}`:         "/ttl",
		`{"origin":"` + shopOrigin + `","ttl":0}`:               "/ttl",
		`{"origin":"` + shopOrigin + `","merchant":"b"}`:        "/merchant",
	} {
		got := r.do(t, "POST", "/v1/tokens", key, body)
		got.refused(t, body, 422, "schema-violation")
		if !strings.Contains(got.body, `"pointer":"`+pointer+`"`) {
			t.Errorf("%s: %s, want an error at %s", body, got.body, pointer)
		}
	}
	r.do(t, "POST", "/v1/tokens", key, `{"filter":"data.x >","origin":"`+shopOrigin+`"}`).refused(t, "filter", 400, "filter-invalid")
	r.do(t, "POST", "/v1/tokens", r.pub, `{"origin":"`+shopOrigin+`"}`).refused(t, "a publisher's key", 403, "wrong-role")

	token := r.mint(t, key, `{"origin":"`+shopOrigin+`"}`)
	r.do(t, "GET", "/v1/stream?types=payment.*", token, "").refused(t, "beyond the key", 403, "scope-missing")
}

func TestRefusalIsAStreamWhereNothingElseIsSeen(t *testing.T) {
	r := newTokenRig(t)
	token := r.mint(t, r.a, `{"origin":"`+shopOrigin+`"}`)
	for query, name := range map[string]string{
		"?access_token=" + token[:len(token)-4] + "AAAA":  "invalid-token",
		"?access_token=" + token + "&filter=data.x+%3E":   "filter-invalid",
		"?access_token=" + token + "&last_event_id=never": "cursor-malformed",
		"?errors=stream":     "unauthenticated",
		"?errors=stream&x=1": "unknown-parameter",
	} {
		v := r.watch(t, "", query, "Origin", shopOrigin)
		e := v.next(t)
		var doc struct {
			Type      string
			Permanent bool
			RetryMS   int64 `json:"retry_ms"`
		}
		if json.Unmarshal([]byte(e.Data), &doc) != nil || e.Type != "stream.problem" || doc.Type != "/problems/"+name ||
			!doc.Permanent || e.Retry != time.Hour || doc.RetryMS != e.Retry.Milliseconds() {
			t.Errorf("%.30s…: got %+v", query, e)
		}
		if v.res.Header.Get("Access-Control-Allow-Origin") != shopOrigin {
			t.Errorf("%.30s…: the page cannot read it: %v", query, v.res.Header)
		}
		if _, err := v.decoder.Next(); err == nil {
			t.Errorf("%.30s…: the stream goes on", query)
		}
	}
	r.do(t, "GET", "/v1/stream?errors=http&access_token=a.b.c", "", "").refused(t, "errors=http", 401, "invalid-token")
	r.do(t, "GET", "/v1/events?errors=stream", r.a, "").refused(t, "history", 400, "unknown-parameter")
}

func TestPreflightAllowsWhatPagesSend(t *testing.T) {
	r := newTokenRig(t)
	got := r.do(t, "OPTIONS", "/v1/stream", "", "", "Origin", shopOrigin, "Access-Control-Request-Method", "GET")
	if got.status != http.StatusNoContent || got.header.Get("Access-Control-Allow-Origin") != shopOrigin ||
		got.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("preflight: %d %v", got.status, got.header)
	}
	for _, name := range []string{"Authorization", "Last-Event-ID", "Cache-Control", "X-Requested-With", "Content-Type"} {
		if !slices.Contains(strings.Split(got.header.Get("Access-Control-Allow-Headers"), ", "), name) {
			t.Errorf("preflight does not allow %s: %v", name, got.header)
		}
	}
	got = r.do(t, "OPTIONS", "/v1/tokens", "", "", "Origin", shopOrigin, "Access-Control-Request-Method", "POST")
	if got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a page may mint tokens: %v", got.header)
	}
}

func TestAttack10And27RevokedKeyEndsItsStreamsAndTokens(t *testing.T) {
	r := newTokenRig(t)
	token := r.mint(t, r.a, `{"origin":"`+shopOrigin+`"}`)
	byKey, byToken, other := r.watch(t, r.a, ""), r.watch(t, "", "?access_token="+token), r.watch(t, r.b, "")
	for _, v := range []*viewer{byKey, byToken, other} {
		v.until(t, "stream.open")
	}
	began := time.Now()
	key, err := r.store.Revoke(t.Context(), r.keyOf(t, r.a).ID)
	if err != nil {
		t.Fatal(err)
	}
	r.announce(t, auth.KeyRevoked, key)
	for _, v := range []*viewer{byKey, byToken} {
		if e := v.next(t); e.Type != "stream.goodbye" || !strings.Contains(string(e.Data), `"reason":"key_revoked","reconnect":false`) {
			t.Errorf("a stream of the revoked key got %+v", e)
		}
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the streams ended after %s", took)
	}
	r.do(t, "GET", "/v1/stream", r.a, "").refused(t, "a new stream", 401, "key-revoked")
	r.do(t, "GET", "/v1/stream", token, "").refused(t, "its token", 401, "key-revoked")
	if e := r.watch(t, "", "?access_token="+token).next(t); e.Type != "stream.problem" || !strings.Contains(string(e.Data), "key-revoked") {
		t.Errorf("a page that comes back got %+v", e)
	}
	r.publish(t, "b", "order.completed", `{}`)
	if e := other.next(t); e.Type != "order.completed" {
		t.Errorf("another merchant's stream got %+v", e)
	}
}

func TestAttack35NarrowedKeyNarrowsItsOpenStreams(t *testing.T) {
	r := newTokenRig(t)
	key := r.keyOf(t, r.a)
	token := r.mint(t, r.a, `{"types":["order.*","seat.*"],"origin":"`+shopOrigin+`"}`)
	byKey, byToken := r.watch(t, r.a, ""), r.watch(t, "", "?access_token="+token)
	byKey.until(t, "stream.open")
	byToken.until(t, "stream.open")
	secret := r.publish(t, "a", "payment.succeeded", `"before"`).Position
	byKey.until(t, "payment.succeeded")

	edited, _, err := auth.Edit(t.Context(), r.store, key.ID, 0, func(k *auth.Key) { k.Types = []string{"order.*"} })
	if err != nil {
		t.Fatal(err)
	}
	r.announce(t, auth.KeyEdited, edited)
	for _, v := range []*viewer{byKey, byToken} {
		if e := v.next(t); e.Type != "stream.scope" || !strings.Contains(string(e.Data), `{"types":["order.*"]}`) {
			t.Errorf("an open stream got %+v, want stream.scope", e)
		}
	}
	r.publish(t, "a", "payment.succeeded", `"after"`)
	r.publish(t, "a", "seat.status", `1`)
	r.publish(t, "a", "order.completed", `{}`)
	for _, v := range []*viewer{byKey, byToken} {
		if e := v.next(t); e.Type != "order.completed" {
			t.Errorf("an open stream got %+v, want nothing outside its scope", e)
		}
	}
	for _, target := range []string{"/v1/events?since=1h", "/v1/state", "/v1/events?after=" + secret.String()} {
		if got := r.do(t, "GET", target, r.a, ""); strings.Contains(got.body, "payment") || strings.Contains(got.body, "seat.status") {
			t.Errorf("GET %s: %s", target, got.body)
		}
	}
	late := r.watch(t, r.a, "?since=1h")
	if events := late.until(t, "stream.live"); len(events) != 3 || events[1].Type != "order.completed" {
		t.Errorf("a replay has %d events, %+v", len(events), events)
	}
}

func TestAttack27StreamEndsWithItsToken(t *testing.T) {
	r := newTokenRig(t)
	token := r.mint(t, r.a, `{"origin":"`+shopOrigin+`","ttl":2}`)
	began := time.Now()
	v := r.watch(t, "", "?access_token="+token)
	v.until(t, "stream.open")
	if e := v.next(t); e.Type != "stream.expiring" {
		t.Errorf("the first event after a while is %+v", e)
	}
	e := v.next(t)
	if e.Type != "stream.goodbye" || !strings.Contains(string(e.Data), `"reason":"session_ended"`) {
		t.Errorf("the last event is %+v", e)
	}
	if took := time.Since(began); took < time.Second || took > 4*time.Second {
		t.Errorf("a token of 2 s ended its stream after %s", took)
	}
}

func TestConnectionsAreForgottenWhenTheyEnd(t *testing.T) {
	r := newTokenRig(t)
	for range 20 {
		v := r.watch(t, r.a, "")
		v.until(t, "stream.open")
		v.res.Body.Close()
	}
	r.hub.Drain(0)
	deadline := time.Now().Add(patience)
	for len(r.server.connections.all()) > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are left", len(r.server.connections.all()))
		}
		time.Sleep(5 * time.Millisecond)
	}
}
