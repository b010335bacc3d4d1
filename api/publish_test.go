package api

import (
	"github.com/paylogic/pushserver/api/cloudevents"
	"github.com/paylogic/pushserver/internal/strictjson"
	"github.com/paylogic/pushserver/streams/eventlog"

	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams/filter"
)

func TestOneAttributeInAHeaderMakesABinaryEvent(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	// Its data could pass for an event in the short form.
	body := `{"merchant":"a","type":"x.y","data":1}`
	got := r.do(t, "POST", "/v1/events", r.pub, body, "ce-id", "1", "ce-type", "x.y")
	got.refused(t, "without ce-specversion", 422, "schema-violation")
	for _, missing := range []string{"ce-specversion", "ce-source", "ce-merchant"} {
		if !strings.Contains(got.body, `"header":"`+missing+`"`) {
			t.Errorf("the answer does not name %s: %s", missing, got.body)
		}
	}
	got = r.do(t, "POST", "/v1/events", r.pub, body, "ce-specversion", "1.0", "ce-id", "1",
		"ce-source", "/s", "ce-type", "x.y", "ce-merchant", "a")
	if got.status != http.StatusCreated {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	if page := r.do(t, "GET", "/v1/events?envelope=data", r.a, ""); !strings.Contains(page.body, `"data":`+body) {
		t.Errorf("delivered %s, want data %s", page.body, body)
	}
}

func TestBatchAnswersForEachEventAndGoesOn(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	event := func(id, merchant, more string) string {
		return `{"specversion":"1.0","id":"` + id + `","source":"/s","type":"x.y","merchant":"` + merchant + `","data":1` + more + `}`
	}
	tests := []struct {
		name, event, problem string
		status               int
	}{
		{"good", event("1", "a", ""), "", 201},
		{"same again", event("1", "a", ""), "", 200},
		{"another content", event("1", "a", `,"subject":"s"`), "id-reused", 409},
		{"for another merchant", event("1", "b", ""), "", 201},
		{"unknown merchant", event("1", "nobody", ""), "unknown-merchant", 422},
		{"no event", `[]`, "malformed-json", 400},
		{"member twice", event("2", "a", `,"subject":"s","subject":"t"`), "duplicate-member", 422},
		{"lone surrogate", event("2", "a", `,"subject":"\ud800"`), "invalid-utf8", 422},
		{"too deep", event("2", "a", `,"x":`+strings.Repeat("[", 65)+strings.Repeat("]", 65)), "too-deep", 422},
		{"ours", strings.Replace(event("2", "a", ""), "x.y", "stream.x", 1), "reserved-type", 422},
		{"the last", event("2", "a", ""), "", 201},
	}
	var events []string
	for _, tt := range tests {
		events = append(events, tt.event)
	}
	got := r.do(t, "POST", "/v1/events", r.pub, "["+strings.Join(events, ",")+"]", "Content-Type", cloudevents.BatchType)
	fits(t, "BatchResult", got.body)
	var answer struct {
		Accepted, Duplicates, Failed int
		Results                      []struct {
			Status  int
			Problem struct{ Type string }
		}
	}
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil || got.status != 207 || len(answer.Results) != len(tests) {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	for i, tt := range tests {
		result := answer.Results[i]
		if name := strings.TrimPrefix(result.Problem.Type, "/problems/"); result.Status != tt.status || name != tt.problem {
			t.Errorf("%s: got %d %s, want %d %s", tt.name, result.Status, name, tt.status, tt.problem)
		}
	}
	if answer.Accepted != 3 || answer.Duplicates != 1 || answer.Failed != 7 {
		t.Errorf("counted %d, %d, %d, want 3, 1, 7", answer.Accepted, answer.Duplicates, answer.Failed)
	}
}

func TestBatchAsAWhole(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	post := func(body, form string) response {
		return r.do(t, "POST", "/v1/events", r.pub, body, "Content-Type", form)
	}
	if got := post("[]", cloudevents.BatchType); got.status != 200 || !strings.Contains(got.body, `"results":[]`) {
		t.Errorf("empty batch: got %d %s", got.status, got.body)
	}
	post(`[`+strings.Repeat(`{},`, 1000)+`{}]`, cloudevents.BatchType).refused(t, "1,001 events", 413, "payload-too-large")
	post(`[{}`, cloudevents.BatchType).refused(t, "half a batch", 400, "malformed-json")
	post(`{}`, cloudevents.BatchType).refused(t, "one event as a batch", 400, "malformed-json")
	post(`[{}]`, cloudevents.ShortType).refused(t, "an array in the short form", 400, "malformed-json")
}

// A laterStore holds filters of a later version, which this one cannot compile.
type laterStore struct{ auth.Store }

func (s laterStore) Find(ctx context.Context, hash auth.Hash) (*auth.Key, error) {
	key, err := s.Store.Find(ctx, hash)
	if key != nil && key.Filter != "" {
		key.Filter = "data.secret >"
	}
	return key, err
}

// It is the key that is wrong, and its holder did not write it.
func TestFilterOfAKeyThatDoesNotCompileIsNotTheClientsFault(t *testing.T) {
	r := startRig(t, eventlog.MemoryOptions{}, false, func(c *Config) {
		c.Keyring = auth.NewKeyring(laterStore{c.Store}, auth.KeyringOptions{})
	})
	key := r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Clause: filter.Clause{Filter: "data.secret > 1"}})
	got := r.do(t, "GET", "/v1/stream", key, "")
	got.refused(t, "stream", 500, "internal-error")
	if strings.Contains(got.body, "filter") {
		t.Errorf("the answer speaks of the filter: %s", got.body)
	}
	if logged := r.logs.String(); !strings.Contains(logged, "compile what key_") {
		t.Errorf("the log does not say which key: %s", logged)
	}
}

func TestEventOfTheTestModeReachesTestKeysAlone(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	test := r.issue(t, auth.Key{Kind: auth.Test, Merchant: "a"})
	r.publish(t, "a", "x.y", `"of the test"`, `,"livemode":false`)
	r.publish(t, "a", "x.y", `"of life"`, `,"livemode":true`)
	for name, tt := range map[string]struct{ key, sees, misses string }{
		"test": {test, "of the test", "of life"},
		"live": {r.a, "of life", "of the test"},
	} {
		got := r.do(t, "GET", "/v1/events", tt.key, "").body
		if !strings.Contains(got, tt.sees) || strings.Contains(got, tt.misses) {
			t.Errorf("the %s key got %s", name, got)
		}
	}
}

func TestInvisibleFormatCharactersAreRefused(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	for _, c := range []string{"\u00ad", "\u061c", "\u180e", "\u2060", "\u2064", "\ufff9", "\U000e0041"} {
		r.do(t, "POST", "/v1/events", r.pub, `{"merchant":"a","type":"x.y","subject":"a`+c+`b","data":1}`).
			refused(t, "subject with "+strictjson.Quote(c), 422, "schema-violation")
	}
}
