package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylogic/pushserver/api/catalog"
	"github.com/paylogic/pushserver/api/cloudevents"
	"github.com/paylogic/pushserver/api/conform"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams/sse"
)

var trafficTime = flag.Duration("traffic", 30*time.Second, "how long mixed traffic is held to the description")

// A crowd sends mixed traffic, good and bad.
type crowd struct {
	rig           *rig
	description   *conform.Description
	live, test    string
	admin, signed string // an admin's key, and a token
	exchanges     atomic.Int64
	events        atomic.Int64
	outside       atomic.Int64
}

func oneOf[T any](dice *rand.Rand, options ...T) T { return options[dice.IntN(len(options))] }

// Nothing that the server ever answers or streams is outside its description.
func TestTrafficFitsTheDescription(t *testing.T) {
	t.Parallel()
	r := startRig(t, eventlog.MemoryOptions{Retention: eventlog.Retention{Events: 2000}}, false, func(c *Config) {
		c.Catalog = catalog.Builtin()
		tokens, err := auth.NewTokens(auth.TokenOptions{Secrets: []auth.SigningSecret{auth.NewSigningSecret()}})
		if err != nil {
			t.Fatal(err)
		}
		c.Tokens = tokens
	})
	r.catalogued = true // its own description is read below
	all := within(t, "streams=40,connects=2000/m,requests=4000/m")
	c := &crowd{rig: r, description: r.description(t, ""), admin: r.issue(t, auth.Key{Kind: auth.Adm, Limits: all})}
	c.live = r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Limits: all})
	c.test = r.issue(t, auth.Key{Kind: auth.Test, Merchant: "a", Limits: all})
	got := r.do(t, "POST", "/v1/tokens", c.live, `{"origin":"https://shop.example"}`)
	_, c.signed, _ = strings.Cut(got.body, `"token":"`)
	c.signed, _, _ = strings.Cut(c.signed, `"`)
	ctx, cancel := context.WithTimeout(t.Context(), *trafficTime)
	defer cancel()
	var people sync.WaitGroup
	for i := range 8 {
		people.Go(func() {
			dice := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(i)))
			for ctx.Err() == nil {
				if dice.IntN(12) == 0 {
					c.stream(ctx, t, dice)
				} else {
					c.ask(t, dice)
				}
			}
		})
	}
	people.Wait()
	t.Logf("%d answers and %d events, of which %d were outside the description", c.exchanges.Load(), c.events.Load(), c.outside.Load())
	if c.exchanges.Load() < 100 || c.events.Load() < 100 {
		t.Error("there was hardly any traffic")
	}
}

// found reports what is outside the description, up to a few.
func (c *crowd) found(t *testing.T, err error) {
	if err != nil && c.outside.Add(1) <= 10 {
		t.Errorf("%.600s", err)
	}
}

// ask makes one request and holds the answer to the description.
func (c *crowd) ask(t *testing.T, dice *rand.Rand) {
	r := c.rig
	key := oneOf(dice, c.live, c.live, c.test, r.pub, r.pub, c.admin, "", "ps_live_wrong", c.signed, r.b)
	typ := oneOf(dice, "payment.succeeded", "payment.failed", "ticket.availability", "seat.status", "my.own", "stream.reset", "b a d")
	subject := oneOf(dice, "event/42", "seat/A/1", "", "\u0000")
	data := oneOf(dice, `{"available":9}`, `{"amount":1250,"currency":"EUR"}`, `{"status":"sold"}`, `null`, `7`, `"text"`, `{"a":`, `{"a":1,"a":2}`)
	event := fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/s","type":%q,"subject":%q,"merchant":%q,"data":%s}`,
		dice.IntN(5000), typ, subject, oneOf(dice, "a", "b", "nobody"), data)
	query := oneOf(dice, "", "?types=payment.*", "?types=a,,b", "?filter=data.amount%20%3E%201000", "?filter=data.(", "?subject=seat/**",
		"?limit=5", "?limit=0", "?after=x", "?after=1-0-abcde", "?since=10m", "?since=soon", "?wait=0", "?envelope=data", "?envelope=paper", "?nonsense=1", "?%zz", "?key=x")
	var method, path, body, form string
	switch dice.IntN(16) {
	case 0, 1, 2, 3:
		method, path, form = "POST", "/v1/events", oneOf(dice, cloudevents.StructuredType, cloudevents.StructuredType, "text/plain", cloudevents.BatchType)
		if body = event; form == cloudevents.BatchType {
			body = "[" + event + "," + strings.ReplaceAll(event, `"id":"`, `"id":"b`) + "]"
		}
	case 4:
		method, path, form = "POST", "/v1/events", cloudevents.ShortType
		body = fmt.Sprintf(`{"merchant":"a","type":%q,"data":%s}`, typ, data)
	case 5, 6:
		method, path = oneOf(dice, "GET", "GET", "HEAD"), "/v1/events"+query
	case 7:
		method, path = "GET", "/v1/state"+query
	case 8:
		method, path = oneOf(dice, "GET", "DELETE", "OPTIONS", "PUT"), oneOf(dice, "/v1/me", "/v1/connections", "/v1/connections/con_x", "/v1/event-types", "/v1/event-types/"+oneOf(dice, "payment.failed", "none"))
	case 9:
		method, path, form = "POST", "/v1/tokens", cloudevents.ShortType
		body = oneOf(dice, `{"origin":"https://shop.example","ttl":60}`, `{"origin":"nowhere"}`, `{}`, `[]`, `{"origin":"https://shop.example","types":["x"]}`)
	case 10:
		method, path, form = "POST", "/v1/test/events", cloudevents.ShortType
		body = oneOf(dice, `{"type":"payment.failed"}`, `{"type":"my.own","data":1}`, `{}`, `{"type":"payment.failed","data":{}}`)
	case 11:
		method, path, form, body = "POST", "/v1/explain", cloudevents.ShortType, `{"event":`+event+`}`
	case 12:
		method, path, form = "POST", "/v1/keys", cloudevents.ShortType
		body = oneOf(dice, `{"kind":"live","merchant":"a","types":["payment.*"],"limits":{"streams":3}}`, `{"kind":"pub"}`, `{"kind":"x"}`, `{}`, `{"kind":"live","merchant":"a","limits":{"streams":0}}`)
	case 13:
		method, path = "GET", oneOf(dice, "/v1/keys", "/v1/keys?limit=2", "/v1/keys?after=none", "/v1/audit", "/v1/audit?limit=3", "/v1/audit?after=x", "/v1/keys/key_none")
	case 14:
		method, path, form = oneOf(dice, "PATCH", "DELETE"), "/v1/keys/key_none", mergePatch
		if method == "PATCH" {
			body = oneOf(dice, `{"name":"x"}`, `{"kind":"adm"}`)
		}
	default:
		method, path = "GET", oneOf(dice, "/openapi.json", "/openapi.yaml", "/openapi-3.1.json", "/docs", "/nothing", "/v1/nothing", "/v1/stream?filter=data.(", "/problems/not-found")
		if strings.HasPrefix(path, "/v1/stream") && key == c.signed {
			return // the refusal is a stream
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, r.http.URL+path, strings.NewReader(body))
	if err != nil {
		return // no URL at all
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if form != "" {
		req.Header.Set("Content-Type", form)
	}
	res, err := r.http.Client().Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	c.exchanges.Add(1)
	c.found(t, c.description.Exchange(conform.Exchange{
		Method: method, Path: req.URL.Path, RequestType: form, Request: []byte(body),
		Status: res.StatusCode, Header: res.Header, Answer: answer,
	}))
}

// stream reads a stream for a moment and holds all of it to the description.
func (c *crowd) stream(ctx context.Context, t *testing.T, dice *rand.Rand) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(100+dice.IntN(1500))*time.Millisecond)
	defer cancel()
	query := "?" + oneOf(dice, "types=payment.*", "since=1h", "snapshot=1", "last_event_id=nonsense", "last_event_id=1-0-abcde", "subject=event/*", "takeover=oldest",
		"filter=data.amount%20%3E%201000", "errors=stream&filter=data.(", "errors=stream&types=")
	req, err := http.NewRequestWithContext(ctx, "GET", c.rig.http.URL+"/v1/stream"+query, nil)
	if err != nil {
		t.Error(err)
		return
	}
	lines := dice.IntN(4) == 0
	if lines {
		req.Header.Set("Accept", lineStream)
	}
	req.Header.Set("Authorization", "Bearer "+oneOf(dice, c.live, c.test, c.rig.b, c.signed, "ps_live_wrong"))
	res, err := c.rig.http.Client().Do(req)
	if err != nil {
		return // its time was over
	}
	defer res.Body.Close()
	c.exchanges.Add(1)
	if res.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(res.Body)
		c.found(t, c.description.Exchange(conform.Exchange{Method: "GET", Path: "/v1/stream", Status: res.StatusCode, Header: res.Header, Answer: answer}))
		return
	}
	text := bufio.NewReader(res.Body)
	if strings.HasPrefix(res.Header.Get("Content-Type"), lineStream) {
		for {
			line, err := text.ReadBytes('\n')
			if err != nil {
				return
			}
			c.events.Add(1)
			c.found(t, c.description.Line(line))
		}
	}
	for decoder := sse.NewDecoder(text); ; {
		e, err := decoder.Next()
		if err != nil {
			return
		}
		c.events.Add(1)
		c.found(t, c.description.Event(e))
	}
}
