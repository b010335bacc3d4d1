package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams/filter"
	"github.com/paylogic/pushserver/streams/sse"
)

// An occurrence is a published event, as the naive reference sees it.
type occurrence struct {
	id, typ, subject string
	n                int
	gone             bool // its data is null
}

// A clause is what a key or a request narrows a feed to.
type clause struct {
	types, subjects []string
	filter          int // an index into expressions
}

// expressions are filters, each with the same said in Go.
var expressions = []struct {
	text string
	says func(occurrence) bool
}{
	{"", func(occurrence) bool { return true }},
	{"data.n >= 5", func(o occurrence) bool { return !o.gone && o.n >= 5 }},
	{`type == "seat.status" || data.n < 3`, func(o occurrence) bool { return o.typ == "seat.status" || !o.gone && o.n < 3 }},
	{`subject.startsWith("seat/")`, func(o occurrence) bool { return strings.HasPrefix(o.subject, "seat/") }},
	{`has(data.n) && data.n != 4`, func(o occurrence) bool { return !o.gone && o.n != 4 }},
}

var (
	typePatterns    = []string{"seat.status", "seat.*", "payment.*", "payment.made", "*", "ticket.sold", "pay*"}
	subjectPatterns = []string{"seat/A/1", "seat/*/1", "seat/**", "*", "**", "gate/*", "seat/A/*"}
	someTypes       = []string{"seat.status", "payment.made", "payment.lost", "ticket.sold"}
	someSubjects    = []string{"seat/A/1", "seat/A/2", "seat/B/1", "gate/1", "till"}
)

// pick returns some of the patterns, or none.
func pick(dice *rand.Rand, patterns []string) []string {
	var some []string
	for range dice.IntN(3) {
		if p := patterns[dice.IntN(len(patterns))]; !slices.Contains(some, p) {
			some = append(some, p)
		}
	}
	return some
}

// naively reports whether one of the patterns fits, or there is none: '*' is
// anything, of a subject within a segment, and '**' is anything.
func naively(patterns []string, text, segment string) bool {
	for _, p := range patterns {
		expr := regexp.QuoteMeta(p)
		expr = strings.ReplaceAll(expr, `\*\*`, "\x00")
		expr = strings.ReplaceAll(expr, `\*`, segment+"*")
		expr = strings.ReplaceAll(expr, "\x00", ".*")
		if regexp.MustCompile("^(?:" + expr + ")$").MatchString(text) {
			return true
		}
	}
	return len(patterns) == 0
}

func (c clause) says(o occurrence) bool {
	return naively(c.types, o.typ, ".") && naively(c.subjects, o.subject, "[^/]") && expressions[c.filter].says(o)
}

// What is delivered live, replayed, in history, in state and in a snapshot is
// exactly what the key and the request allow.
func TestEveryPathDeliversWhatEntitlementAndRequestAllow(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	seed := uint64(time.Now().UnixNano())
	dice := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	witness := r.watch(t, r.a, "")
	serial := 0
	publish := func(typ, subject string, n int, gone bool) (occurrence, string) {
		t.Helper()
		serial++
		o := occurrence{fmt.Sprintf("p%d", serial), typ, subject, n, gone}
		data := fmt.Sprintf(`{"n":%d}`, n)
		if gone {
			data = "null"
		}
		at := r.publish(t, "a", typ, data, `,"id":"`+o.id+`","subject":"`+subject+`"`).Position
		for e := witness.next(t); e.ID != at.String(); e = witness.next(t) {
		}
		return o, at.String()
	}
	states := make(map[string]occurrence) // by subject, of seat.status
	for trial := range 60 {
		key, asked := clause{pick(dice, typePatterns), pick(dice, subjectPatterns), dice.IntN(len(expressions))}, clause{}
		asked.types, asked.filter = pick(dice, typePatterns), dice.IntN(len(expressions))
		if dice.IntN(2) == 0 {
			asked.subjects = []string{subjectPatterns[dice.IntN(len(subjectPatterns))]}
		}
		secret := r.issue(t, auth.Key{
			Kind: auth.Live, Merchant: "a", Clause: filter.Clause{Types: key.types, Subjects: key.subjects, Filter: expressions[key.filter].text},
		})
		query := url.Values{"conflate": {"off"}}
		if len(asked.types) > 0 {
			query.Set("types", strings.Join(asked.types, ","))
		}
		if len(asked.subjects) > 0 {
			query.Set("subject", asked.subjects[0])
		}
		if asked.filter > 0 {
			query.Set("filter", expressions[asked.filter].text)
		}
		_, start := publish("ticket.sold", "till", 0, false)
		live := r.tryViewer(t, secret, "?"+query.Encode())
		if live == nil {
			continue // key and request exclude each other by their types: it is refused
		}
		connection := connectionOf(t, live)
		var want []string
		for range 25 {
			typ := someTypes[dice.IntN(len(someTypes))]
			o, _ := publish(typ, someSubjects[dice.IntN(len(someSubjects))], dice.IntN(8), typ == "seat.status" && dice.IntN(4) == 0)
			if key.says(o) && asked.says(o) {
				want = append(want, o.id)
			}
			if typ == "seat.status" {
				states[o.subject] = o
			}
		}
		var holds []string
		for _, o := range states {
			if !o.gone && key.says(o) && asked.says(o) {
				holds = append(holds, o.id)
			}
		}
		slices.Sort(holds)
		check := func(path string, got, want []string) {
			t.Helper()
			if !slices.Equal(got, want) {
				t.Errorf("trial %d, %s: the key sees %+v, asked for %+v\ngot  %v\nwant %v", trial, path, key, asked, got, want)
			}
		}

		// What comes after the witness has seen another event was dealt out before.
		publish("ticket.sold", "till", 0, false)
		r.do(t, "DELETE", "/v1/connections/"+connection, secret, "")
		events := live.until(t, "stream.goodbye")
		got := eventIDs(t, events)
		if last, n := "p"+strconv.Itoa(serial), len(got); n > 0 && got[n-1] == last {
			got = got[:n-1]
		}
		check("live", got, want)

		and := func(more string) string { return "?" + strings.Trim(query.Encode()+"&"+more, "&") }
		replay := r.watch(t, secret, and("last_event_id="+start)).until(t, "stream.live")
		last := occurrence{typ: "ticket.sold", subject: "till"}
		whole := want
		if key.says(last) && asked.says(last) {
			whole = append(slices.Clone(want), "p"+strconv.Itoa(serial))
		}
		check("replay", eventIDs(t, replay), whole)

		query.Del("conflate")
		page := r.do(t, "GET", "/v1/events"+and("limit=1000&after="+start), secret, "")
		check("history", answerIDs(t, page.body, "events"), whole)

		state := answerIDs(t, r.do(t, "GET", "/v1/state"+strings.TrimSuffix(and(""), "?"), secret, "").body, "state")
		slices.Sort(state)
		check("state", state, holds)

		snapshot := eventIDs(t, r.watch(t, secret, and("snapshot=1")).until(t, "stream.live"))
		slices.Sort(snapshot)
		check("snapshot", snapshot, holds)
		if t.Failed() {
			return
		}
	}
}

// tryViewer opens a stream; nil if it is refused for its types.
func (r *rig) tryViewer(t testing.TB, key, query string) *viewer {
	t.Helper()
	if got := r.do(t, "HEAD", "/v1/stream"+query, key, ""); got.status == 403 {
		return nil
	}
	return r.watch(t, key, query)
}

// eventIDs returns the ids of the CloudEvents among events.
func eventIDs(t testing.TB, events []sse.Event) []string {
	t.Helper()
	var ids []string
	for _, e := range events {
		if strings.HasPrefix(e.Type, "stream.") {
			continue
		}
		var event struct{ ID string }
		if err := json.Unmarshal(e.Data, &event); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, event.ID)
	}
	return ids
}

// answerIDs returns the ids of the CloudEvents in a member of an answer.
func answerIDs(t testing.TB, body, member string) []string {
	t.Helper()
	var answer map[string]json.RawMessage
	var items []struct{ Data struct{ ID string } }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if err := json.Unmarshal(answer[member], &items); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	var ids []string
	for _, item := range items {
		ids = append(ids, item.Data.ID)
	}
	return ids
}
