package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/paylogic/pushserver/api/cloudevents"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/eventlog"
)

// within returns limits for a key.
func within(t testing.TB, text string) policy.Limits {
	t.Helper()
	limits, err := policy.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return limits
}

// fields reads a list of the RateLimit fields: the parameters of each policy.
func fields(t testing.TB, h http.Header, name string) map[string]*httpsfv.Params {
	t.Helper()
	list, err := httpsfv.UnmarshalList(h.Values(name))
	if err != nil {
		t.Fatalf("%s %q: %v", name, h.Values(name), err)
	}
	all := make(map[string]*httpsfv.Params)
	for _, member := range list {
		item := member.(httpsfv.Item)
		all[item.Value.(string)] = item.Params
	}
	return all
}

// parameter returns a whole number among parameters, or -1.
func parameter(p *httpsfv.Params, name string) int {
	if p == nil {
		return -1
	}
	v, ok := p.Get(name)
	if !ok {
		return -1
	}
	return int(v.(int64))
}

func (got response) retryAfter(t testing.TB) int {
	t.Helper()
	n, err := strconv.Atoi(got.header.Get("Retry-After"))
	if err != nil || n < 1 {
		t.Fatalf("Retry-After is %q", got.header.Get("Retry-After"))
	}
	return n
}

func TestAttack03WrongKeysSlowTheirAddressAndNobodyElse(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	refused := 0
	for range 100 {
		got := r.do(t, "GET", "/v1/stream", auth.Mint(auth.Live).Reveal(), "")
		if got.status == http.StatusTooManyRequests {
			refused++
			if n := got.retryAfter(t); n > 60 {
				t.Errorf("Retry-After is %d", n)
			}
			got.refused(t, "wrong key", 429, "quota-exceeded")
			continue
		}
		got.refused(t, "wrong key", 401, "invalid-token")
	}
	if refused < 60 {
		t.Errorf("of 100 wrong keys %d were slowed down", refused)
	}
	r.alive(t) // the same address, with a good key
}

func TestAttack64OneStreamMoreThanTheLimit(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	key := r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Limits: within(t, "streams=5")})
	var open []*viewer
	var ids []string
	for range 5 {
		v := r.watch(t, key, "")
		open, ids = append(open, v), append(ids, connectionOf(t, v))
		time.Sleep(2 * time.Millisecond) // the oldest of those of one millisecond could be any
	}
	if got := parameter(fields(t, open[4].res.Header, "RateLimit")["streams"], "r"); got != 0 {
		t.Errorf("the fifth stream leaves %d", got)
	}
	refused := r.do(t, "GET", "/v1/stream", key, "")
	refused.refused(t, "the sixth stream", 429, "quota-exceeded")
	refused.retryAfter(t)
	if !strings.Contains(refused.body, `"violated_policies":["streams"]`) || !strings.Contains(refused.body, ids[0]) {
		t.Errorf("the refusal says %s", refused.body)
	}
	policy := fields(t, refused.header, "RateLimit-Policy")["streams"]
	if unit, _ := policy.Get("qu"); parameter(policy, "q") != 5 || unit != "concurrent-requests" {
		t.Errorf("RateLimit-Policy is %q", refused.header.Get("RateLimit-Policy"))
	}
	open[2].res.Body.Close()
	deadline := time.Now().Add(time.Second)
	for {
		got := r.do(t, "HEAD", "/v1/stream", key, "")
		if parameter(fields(t, got.header, "RateLimit")["requests"], "r") < 0 {
			t.Fatalf("HEAD has RateLimit %q", got.header.Get("RateLimit"))
		}
		if v, ok := r.tryWatch(t, key, ""); ok {
			defer v.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a second after one was closed there is no place for another")
		}
		time.Sleep(20 * time.Millisecond)
	}
	taken, ok := r.tryWatch(t, key, "?takeover=oldest")
	if !ok {
		t.Fatal("takeover=oldest was refused")
	}
	defer taken.Body.Close()
	if e := open[0].next(t); e.Type != "stream.goodbye" || !strings.Contains(string(e.Data), endedByTakeover) {
		t.Errorf("the oldest stream was told %s %s", e.Type, e.Data)
	}
	r.alive(t)
}

// tryWatch opens a stream that may be refused.
func (r *rig) tryWatch(t testing.TB, key, query string) (*http.Response, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", r.http.URL+"/v1/stream"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := r.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, false
	}
	return res, true
}

func TestAttack65TooManyConnects(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	key := r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Limits: within(t, "connects=20/m")})
	served := 0
	for range 100 {
		if res, ok := r.tryWatch(t, key, ""); ok {
			served++
			res.Body.Close()
		}
	}
	if served < 20 || served > 22 { // what comes back meanwhile
		t.Errorf("of 100 connects %d were served, with a limit of 20 a minute", served)
	}
	page := r.do(t, "GET", "/v1/stream?errors=stream", key, "")
	if page.status != 200 || !strings.Contains(page.body, "event: stream.problem") || !strings.Contains(page.body, "retry: ") ||
		!strings.Contains(page.body, `"permanent":false`) || !strings.Contains(page.body, "quota-exceeded") {
		t.Errorf("a page is refused with %d: %s", page.status, page.body)
	}
	r.alive(t)
}

func TestEveryLimitRefusesByItsName(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	event := func(i int) string { return fmt.Sprintf(`{"merchant":"a","type":"x.y","id":"e%d","data":1}`, i) }
	for _, probe := range []struct {
		name, limit string
		kind        auth.Kind
		do          func(key string, i int) response
	}{
		{"requests", "requests=3/m", auth.Live, func(key string, _ int) response { return r.do(t, "GET", "/v1/me", key, "") }},
		{"requests", "requests=3/m", auth.Live, func(key string, _ int) response { return r.do(t, "GET", "/v1/events?limit=x", key, "") }},
		{"publishes", "publishes=3/s", auth.Pub, func(key string, i int) response { return r.do(t, "POST", "/v1/events", key, event(i)) }},
		{"replay", "replay=3/m", auth.Live, func(key string, _ int) response { return r.do(t, "GET", "/v1/events", key, "") }},
	} {
		t.Run(probe.name, func(t *testing.T) {
			for i := range 5 { // so that there is something to read
				r.publish(t, "a", "x.y", strconv.Itoa(i))
			}
			description := auth.Key{Kind: probe.kind, Limits: within(t, probe.limit)}
			if probe.kind == auth.Live {
				description.Merchant = "a"
			}
			key := r.issue(t, description)
			for i := range 5 {
				got := probe.do(key, i)
				if got.header.Get("RateLimit") == "" {
					t.Fatalf("status %d without RateLimit: %s", got.status, got.body)
				}
				if got.status == http.StatusTooManyRequests {
					got.refused(t, probe.name, 429, "quota-exceeded")
					if !strings.Contains(got.body, `"violated_policies":["`+probe.name+`"]`) {
						t.Errorf("refused with %s", got.body)
					}
					got.retryAfter(t)
					return
				}
			}
			t.Error("five in a row were served, with a limit of three")
		})
	}
	r.alive(t)
}

func TestAttack89PublisherOverItsLimitLeavesOthersTheirs(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	loud := r.issue(t, auth.Key{Kind: auth.Pub, Limits: within(t, "publishes=100/s")})
	event := `{"specversion":"1.0","id":"%d","source":"/s","type":"x.y","merchant":"a"}`
	batch := func(first int) string {
		events := make([]string, 50)
		for i := range events {
			events[i] = fmt.Sprintf(event, first+i)
		}
		return "[" + strings.Join(events, ",") + "]"
	}
	v := r.watch(t, r.b, "?envelope=data")
	connectionOf(t, v)
	began, accepted, refused := time.Now(), 0, 0
	for n := range 200 { // 10,000 events
		switch got := r.do(t, "POST", "/v1/events", loud, batch(50*n), "Content-Type", cloudevents.BatchType); got.status {
		case 200:
			accepted += 50
		case 429:
			refused += 50
			if n%20 == 0 {
				got.retryAfter(t)
			}
		default:
			t.Fatalf("status %d: %s", got.status, got.body)
		}
		if n%20 == 0 {
			r.publish(t, "b", "t", strconv.Itoa(n))
			if e := v.next(t); string(e.Data) != strconv.Itoa(n) {
				t.Fatalf("another merchant gets %s %s, want %d", e.Type, e.Data, n)
			}
		}
	}
	if most := 100 + int(100*time.Since(began).Seconds()) + 50; accepted > most || refused == 0 {
		t.Errorf("%d events were accepted and %d refused, of 10,000; want at most %d accepted", accepted, refused, most)
	}
	r.alive(t)
}

func TestBatchOfMoreThanTheQuotaIsToldToBeSmaller(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	key := r.issue(t, auth.Key{Kind: auth.Pub, Limits: within(t, "publishes=2/s")})
	event := `{"specversion":"1.0","id":"%d","source":"/s","type":"x.y","merchant":"a"}`
	body := fmt.Sprintf("["+event+","+event+","+event+"]", 1, 2, 3)
	got := r.do(t, "POST", "/v1/events", key, body, "Content-Type", cloudevents.BatchType)
	got.refused(t, "a batch of three", 429, "quota-exceeded")
	if got.header.Get("Retry-After") != "" || !strings.Contains(got.body, "less") {
		t.Errorf("refused with %v %s", got.header, got.body)
	}
	if page := r.do(t, "GET", "/v1/events", r.a, ""); !strings.Contains(page.body, `"events":[]`) {
		t.Errorf("a part of it was stored: %s", page.body)
	}
}

func TestFieldsCountDownTruly(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	key := r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Limits: within(t, "requests=10/m")})
	for want := 9; want >= 0; want-- {
		got := r.do(t, "GET", "/v1/state", key, "")
		left := fields(t, got.header, "RateLimit")["requests"]
		if got.status != 200 || parameter(left, "r") != want || parameter(left, "t") < 1 {
			t.Errorf("status %d with RateLimit %q, want %d left", got.status, got.header.Get("RateLimit"), want)
		}
	}
	var me account
	other := r.do(t, "GET", "/v1/me", r.a, "")
	if err := json.Unmarshal([]byte(other.body), &me); err != nil || len(me.Limits) != 8 {
		t.Fatalf("%v: %s", err, other.body)
	}
	if l := me.Limits["connects"]; l != (accountLimit{Quota: 60, Window: 60, Remaining: 60}) {
		t.Errorf("connects are shown as %+v", l)
	}
}

func TestAttack86LimiterWithoutRedis(t *testing.T) {
	r := startRig(t, eventlog.MemoryOptions{}, false, func(c *Config) {
		c.Limiter = ratelimit.NewRedisLimiter(deadRedis(t), ratelimit.RedisOptions{Logger: c.Logger})
	})
	key := r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Limits: within(t, "requests=5/m")})
	served, refused := 0, 0
	for range 10 {
		switch got := r.do(t, "GET", "/v1/me", key, ""); {
		case got.header.Get("RateLimit") == "":
			t.Errorf("status %d without RateLimit", got.status)
		case got.status == 200:
			served++
		case got.status == 429:
			refused++
		}
	}
	if served < 1 || served > 5 || refused < 5 {
		t.Errorf("%d were served and %d refused, with a limit of 5", served, refused)
	}
	if !strings.Contains(httptestGet(r.server.OpsHandler(), "/metrics"), "pushserver_limiter_fallback_total") {
		t.Error("/metrics does not count the fallbacks")
	}
	r.alive(t)
}

// A token on a page is not told of the streams that are in its way, and ends none.
func TestTokenLearnsNothingOfOthersStreams(t *testing.T) {
	r := newTokenRig(t)
	key := r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Limits: within(t, "streams=1")})
	token := r.mint(t, key, `{"origin":"`+shopOrigin+`"}`)
	v := r.watch(t, key, "?subject=internal/secret")
	id := connectionOf(t, v)
	for _, query := range []string{"?errors=http", "?errors=http&takeover=oldest"} {
		got := r.do(t, "GET", "/v1/stream"+query, token, "")
		got.refused(t, query, 429, "quota-exceeded")
		if strings.Contains(got.body, "connections\":") || strings.Contains(got.body, id) || strings.Contains(got.body, "internal/secret") {
			t.Errorf("a token is told %s", got.body)
		}
	}
	if got := r.do(t, "GET", "/v1/stream", key, ""); !strings.Contains(got.body, id) {
		t.Errorf("the key is told %s", got.body)
	}
	r.do(t, "GET", "/v1/connections", token, "").refused(t, "a token's list", 403, "wrong-role")
	r.publish(t, "a", "x.y", "1", `,"subject":"internal/secret"`)
	if e := v.next(t); e.Type != "x.y" {
		t.Errorf("the stream was told %s", e.Type)
	}
}

// What a poll reads counts, and a key that has read all it may is told so.
func TestPollsReadWithinTheLimit(t *testing.T) {
	wait := pollWait
	t.Cleanup(func() { pollWait = wait }) // once the server is closed
	pollWait = 50 * time.Millisecond
	r := newRig(t, eventlog.MemoryOptions{})
	first := r.publish(t, "a", "x.y", "0")
	for i := range 5 {
		r.publish(t, "a", "x.y", strconv.Itoa(i))
	}
	key := r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Limits: within(t, "replay=5/m")})
	target := "/v1/stream?poll=1&types=none.*&last_event_id=" + first.Position.String()
	if got := r.do(t, "GET", target, key, ""); got.status != 200 {
		t.Fatalf("the first poll: %d %s", got.status, got.body)
	}
	got := r.do(t, "GET", target, key, "")
	got.refused(t, "the second poll", 429, "quota-exceeded")
	if !strings.Contains(got.body, `"replay"`) {
		t.Errorf("it is told %s", got.body)
	}
}
