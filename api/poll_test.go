package api

import (
	"strings"
	"testing"

	"github.com/paylogic/pushserver/streams/eventlog"
)

func TestMalformedPositionIsShownTheSameByStreamAndPoll(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	r.publish(t, "a", "x.y", `1`)
	for _, malformed := range []string{"nonsense", strings.Repeat("long", 12), strings.Repeat("longer", 20), "caf\xc3\xa9"} {
		poll := requested(r.do(t, "GET", "/v1/stream?poll=1", r.a, "", "Last-Event-ID", malformed).body)
		v := r.open(t, "/v1/stream", "Authorization", "Bearer "+r.a, "Last-Event-ID", malformed)
		stream := requested(v.text(t, `"requested":`))
		if poll == "" || poll != stream {
			t.Errorf("%.20q is shown to a stream as %q and to a poll as %q", malformed, stream, poll)
		}
	}
}

// With a position that is malformed, a stream starts now. A poll that starts
// elsewhere repeats or skips events.
func TestMalformedPositionWinsOverSinceInAPollToo(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	r.publish(t, "a", "x.y", `"early"`)
	poll := r.do(t, "GET", "/v1/stream?poll=1&since=1h", r.a, "", "Last-Event-ID", "nonsense")
	if !strings.Contains(poll.body, "stream.reset") || strings.Contains(poll.body, "early") {
		t.Errorf("a poll with a malformed position and since got %d %q, want a reset and no events", poll.status, poll.body)
	}
}

// requested returns the position that a reset repeats.
func requested(text string) string {
	_, text, _ = strings.Cut(text, `"requested":"`)
	text, _, _ = strings.Cut(text, `"`)
	return text
}
