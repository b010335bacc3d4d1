package api

import (
	"github.com/paylogic/pushserver/api/cloudevents"
	"github.com/paylogic/pushserver/streams/eventlog"

	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/paylogic/pushserver"
	"github.com/paylogic/pushserver/streams/sse"
)

// TestTransportsCarryTheSameEvents reads 200 events, the first half replayed and
// the second live, in two connections over each transport.
func TestTransportsCarryTheSameEvents(t *testing.T) {
	t.Parallel()
	for name, secure := range map[string]bool{"HTTP/1.1 taken over": false, "HTTP/2 over TLS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startRig(t, eventlog.MemoryOptions{}, secure)
			const n = 200
			var want []string
			publish := func(from, to int) {
				for i := from; i < to; i++ {
					want = append(want, r.publish(t, "a", "t", fmt.Sprintf(`{"n":%d}`, i)).Position.String())
				}
			}
			publish(0, n/2)
			read := func(v *viewer, count int) (events []sse.Event) {
				for len(events) < count {
					if e := v.next(t); !strings.HasPrefix(e.Type, "stream.") {
						events = append(events, e)
					}
				}
				return events
			}
			v := r.watch(t, r.a, "?since=1h&envelope=data")
			if major := v.res.ProtoMajor; (major == 2) != secure {
				t.Fatalf("the protocol is HTTP/%d", major)
			}
			got := read(v, 30)
			v.res.Body.Close()
			v = r.watch(t, r.a, "?since=1h&envelope=data", "Last-Event-ID", got[len(got)-1].ID)
			got = append(got, read(v, n/2-30)...)
			publish(n/2, n)
			got = append(got, read(v, n/2)...)
			for i, e := range got {
				if e.ID != want[i] || string(e.Data) != fmt.Sprintf(`{"n":%d}`, i) {
					t.Fatalf("event %d is %s %s, want %s", i, e.ID, e.Data, want[i])
				}
			}
		})
	}
}

func TestHistoryIsReadInPages(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	type page struct {
		Events []struct {
			ID   string
			Data int
		}
		Cursor string
		More   bool
	}
	read := func(query string) (p page) {
		got := r.do(t, "GET", "/v1/events?envelope=data&"+query, r.a, "")
		if got.status != 200 || json.Unmarshal([]byte(got.body), &p) != nil {
			t.Fatalf("%s: status %d, %s", query, got.status, got.body)
		}
		return p
	}
	for i := range 25 {
		r.publish(t, "a", "t", fmt.Sprint(i))
	}
	p, next := read("limit=10"), 0
	for {
		for _, e := range p.Events {
			if e.Data != next {
				t.Fatalf("event %d comes when %d should", e.Data, next)
			}
			next++
		}
		if !p.More {
			break
		}
		p = read("limit=10&after=" + p.Cursor)
	}
	if next != 25 {
		t.Fatalf("%d events in all", next)
	}
	waited := make(chan page, 1)
	go func() {
		got := r.do(t, "GET", "/v1/events?envelope=data&wait=9&after="+p.Cursor, r.a, "")
		var p page
		json.Unmarshal([]byte(got.body), &p)
		waited <- p
	}()
	r.publish(t, "a", "t", "25")
	if p := <-waited; len(p.Events) != 1 || p.Events[0].Data != 25 {
		t.Errorf("who waits gets %+v", p)
	}
}

func TestHistoryThatIsGoneSaysWhereToGoOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{Retention: eventlog.Retention{Age: time.Hour, Events: 5}})
	first := r.publish(t, "a", "t", "0").Position.String()
	for i := range 10 {
		r.publish(t, "a", "t", fmt.Sprint(i+1))
	}
	got := r.do(t, "GET", "/v1/events?after="+first, r.a, "")
	got.refused(t, "a position that was trimmed", 410, "history-gone")
	var doc struct{ Cursor, Reason string }
	if err := json.Unmarshal([]byte(got.body), &doc); err != nil || doc.Reason != "trimmed" {
		t.Fatalf("%s: %v", got.body, err)
	}
	again := r.do(t, "GET", "/v1/events?envelope=data&after="+doc.Cursor, r.a, "")
	if again.status != 200 || strings.Count(again.body, `"event":"t"`) != 5 {
		t.Errorf("from the cursor on: status %d, %s", again.status, again.body)
	}
}

func TestBatchAnswersEachEventForItself(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	event := func(id, merchant, data string) string {
		return `{"specversion":"1.0","id":"` + id + `","source":"/s","type":"t","merchant":"` + merchant + `","data":` + data + `}`
	}
	body := "[" + strings.Join([]string{
		event("1", "a", "1"), event("2", "nobody", "2"), `{"id":1}`, "null", event("3", "a", `{"x":1,"x":2}`),
		event("1", "a", "1"), event("1", "a", `"other"`), event("4", "b", "4"),
	}, ",") + "]"
	got := r.post(t, body, "Content-Type", cloudevents.BatchType)
	var answer struct {
		Accepted, Duplicates, Failed int
		Results                      []struct{ Status int }
	}
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil || got.status != 207 {
		t.Fatalf("status %d, %s", got.status, got.body)
	}
	var statuses []int
	for _, result := range answer.Results {
		statuses = append(statuses, result.Status)
	}
	if want := []int{201, 422, 422, 400, 422, 200, 409, 201}; !slices.Equal(statuses, want) {
		t.Errorf("statuses are %v, want %v: %s", statuses, want, got.body)
	}
	if answer.Accepted != 2 || answer.Duplicates != 1 || answer.Failed != 5 {
		t.Errorf("counts are %+v", answer)
	}
	if history := r.do(t, "GET", "/v1/events", r.a, ""); strings.Count(history.body, `"specversion"`) != 1 {
		t.Errorf("history is %s", history.body)
	}
}

func TestRoutesAreThoseOfTheDescription(t *testing.T) {
	t.Parallel()
	var document struct {
		Paths map[string]map[string]any
	}
	if err := yaml.NewDecoder(bytes.NewReader(pushserver.OpenAPI)).Decode(&document); err != nil {
		t.Fatal(err)
	}
	described, served := map[string]bool{}, map[string]bool{}
	for path, item := range document.Paths {
		for _, method := range []string{"get", "put", "post", "delete", "patch", "trace", "query"} {
			if item[method] != nil {
				described[strings.ToUpper(method)+" "+path] = true
			}
		}
	}
	for path, endpoint := range new(Server).endpoints() {
		for method := range endpoint {
			served[method+" "+path] = true
		}
	}
	if !maps.Equal(described, served) {
		t.Errorf("described are %v, served are %v", described, served)
	}
}
