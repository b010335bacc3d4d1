package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams/filter"
)

// subjectsOf returns the subjects that a text speaks of, in its order.
func subjectsOf(text string) []string {
	var subjects []string
	for part := range strings.SplitSeq(text, `"subject":"`) {
		subject, _, _ := strings.Cut(part, `"`)
		subjects = append(subjects, subject)
	}
	return subjects[1:]
}

func TestStateIsWhatIsTrueNowOfWhatTheKeySees(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	some := r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Clause: filter.Clause{Subjects: []string{"seat/*"}}})
	at := func(subject string) string { return `,"subject":"` + subject + `"` }
	r.publish(t, "a", "seat.status", `"free"`, at("seat/A1"))
	r.publish(t, "a", "seat.status", `"free"`, at("seat/A2"))
	r.publish(t, "a", "seat.status", `"free"`, at("gate/1"))
	r.publish(t, "b", "seat.status", `"b alone"`, at("seat/B"))
	r.publish(t, "a", "order.completed", `{}`, at("seat/A3")) // not state-like
	r.publish(t, "a", "seat.status", `null`, at("seat/A2"))
	head := r.publish(t, "a", "seat.status", `"taken"`, at("seat/A1")).Position

	for _, tt := range []struct {
		key, query string
		want       []string
	}{
		{r.a, "", []string{"gate/1", "seat/A1"}},
		{some, "", []string{"seat/A1"}},
		{r.a, "?subject=gate/*", []string{"gate/1"}},
		{r.a, `?filter=data%20!=%20"taken"`, []string{"gate/1"}},
		{r.a, "?types=order.*", nil},
		{r.b, "", []string{"seat/B"}},
	} {
		got := r.do(t, "GET", "/v1/state"+tt.query, tt.key, "")
		fits(t, "State", got.body)
		if got.status != http.StatusOK || !slices.Equal(subjectsOf(got.body), tt.want) {
			t.Errorf("GET /v1/state%s: status %d, %s; want %q", tt.query, got.status, got.body, tt.want)
		}
		if tt.key != r.b && !strings.Contains(got.body, `"cursor":"`+head.String()+`"`) {
			t.Errorf("GET /v1/state%s: %s, want the cursor %s", tt.query, got.body, head)
		}
	}

	v := r.watch(t, some, "?snapshot=1")
	open, seat, live := v.next(t), v.next(t), v.next(t)
	if open.Type != "stream.open" || open.ID != "" || seat.ID != "" || live.Type != "stream.live" || live.ID != head.String() {
		t.Errorf("a snapshot began with %+v, %+v, %+v", open, seat, live)
	}
	if !slices.Equal(subjectsOf(string(seat.Data)), []string{"seat/A1"}) {
		t.Errorf("the snapshot is %s", seat.Data)
	}
}

func TestSnapshotAndConflateTakeWhatIsDescribed(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	for _, query := range []string{"snapshot=yes", "snapshot=", "conflate=on", "conflate=", "snapshot=1&since=1h", "snapshot=1&snapshot=1"} {
		r.do(t, "GET", "/v1/stream?"+query, r.a, "").refused(t, query, 400, "malformed-query")
	}
	for _, target := range []string{"/v1/state?since=1h", "/v1/state?snapshot=1", "/v1/events?snapshot=1"} {
		r.do(t, "GET", target, r.a, "").refused(t, target, 400, "unknown-parameter")
	}
	r.do(t, "GET", "/v1/state", r.pub, "").refused(t, "a publisher's key", 403, "wrong-role")
}

func TestResetIsFollowedByStatesAndStreamLive(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{Retention: eventlog.Retention{Events: 2}})
	first := r.publish(t, "a", "seat.status", `1`, `,"subject":"seat/A1"`).Position
	for range 3 {
		r.publish(t, "a", "order.completed", `{}`)
	}
	v := r.watch(t, r.a, "", "Last-Event-ID", first.String())
	var types []string
	for range 6 {
		types = append(types, v.next(t).Type)
	}
	want := []string{"stream.open", "stream.reset", "seat.status", "order.completed", "order.completed", "stream.live"}
	if !slices.Equal(types, want) {
		t.Errorf("after a gap came %q, want %q", types, want)
	}
	gone := r.do(t, "GET", "/v1/events?after="+first.String(), r.a, "")
	gone.refused(t, "history", 410, "history-gone")
	var facts map[string]any
	if err := json.Unmarshal([]byte(gone.body), &facts); err != nil || facts["reason"] != "trimmed" || facts["resume_from"] != facts["oldest"] {
		t.Errorf("the history is gone with %s", gone.body)
	}
}
