package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams/filter"
)

func withChannels(t testing.TB, texts ...string) func(*Config) {
	return func(c *Config) {
		for _, text := range texts {
			channel, err := ParseChannel(text)
			if err != nil {
				t.Fatal(err)
			}
			c.Channels = append(c.Channels, channel)
		}
	}
}

// channelText reads a channel's stream up to a text.
func (v *viewer) text(t testing.TB, until string) string {
	t.Helper()
	var all strings.Builder
	for !strings.Contains(all.String(), until) {
		line, err := v.lines.ReadString('\n')
		if err != nil {
			t.Fatalf("%v after %q", err, all.String())
		}
		all.WriteString(line)
	}
	return all.String()
}

func TestChannelSpeaksAsItsPredecessor(t *testing.T) {
	r := startRig(t, eventlog.MemoryOptions{}, false, withChannels(t, "mychannel=a", "sse=b", "secret=a:key", "shop-*=a"))
	for _, probe := range []struct{ payload, wire string }{
		{`["myevent", {"message": "Hello!"}]`, "event: myevent\ndata: {\"message\": \"Hello!\"}\n\n"},
		{`{"data": {"a": 1}, "type": "greeting", "id": "7", "retry": 5000}`, "event: greeting\ndata: {\"a\": 1}\n\n"},
		{`{"data": "two\nlines, größer"}`, "data: two\ndata: lines, größer\n\n"},
		{`["myevent", "plain"]`, "event: myevent\ndata: plain\n\n"},
	} {
		v := r.open(t, "/stream?channel=mychannel")
		log, event, err := r.server.readMessage(t.Context(), "mychannel", probe.payload)
		if err != nil || log != "a" {
			t.Fatalf("%s: %s, %v", probe.payload, log, err)
		}
		receipts, err := r.log.Append(t.Context(), log, []eventlog.Event{event})
		if err != nil {
			t.Fatal(err)
		}
		got := v.text(t, "data: "+strings.SplitN(strings.SplitN(probe.wire, "data: ", 2)[1], "\n", 2)[0])
		if strings.Contains(got, "event: stream.") || !strings.Contains(got, "id: "+receipts[0].ID.String()+"\n") || !strings.HasPrefix(got, "id: ") || !strings.Contains(got, "\nretry: 3000\n\n") {
			t.Errorf("%s arrives as %q", probe.payload, got)
		}
	}
	for _, payload := range []string{"", "nonsense", "7", "[]", `["x"]`, `[1,2]`, `{"type":"x"}`, `["b a d", 1]`, `["stream.open", 1]`, `{"data":1,"type":7}`} {
		if _, _, err := r.server.readMessage(t.Context(), "mychannel", payload); err == nil {
			t.Errorf("%q was taken for an event", payload)
		}
	}

	r.do(t, "GET", "/stream?channel=unknown", "", "").refused(t, "an unknown channel", 404, "not-found")
	if got := r.do(t, "GET", "/stream?channel=unknown", "", ""); !strings.Contains(got.body, "--legacy-channels") {
		t.Errorf("it does not name the setting: %s", got.body)
	}
	r.do(t, "GET", "/stream?channel=shop-*", "", "").refused(t, "a pattern", 404, "not-found")
	r.do(t, "GET", "/stream?channel=secret", "", "").refused(t, "no key", 401, "unauthenticated")
	r.do(t, "GET", "/stream?channel=secret", r.b, "").refused(t, "another merchant's key", 404, "not-found")
	narrow := r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Clause: filter.Clause{Types: []string{"other.*"}}})
	v := r.open(t, "/stream?channel=secret", "Authorization", "Bearer "+r.a)
	limited := r.open(t, "/stream?channel=secret", "Authorization", "Bearer "+narrow)
	r.publish(t, "a", "x.y", "1", `,"subject":"secret"`)
	r.publish(t, "a", "other.z", "2", `,"subject":"secret"`)
	v.text(t, "data: 2")
	if got := limited.text(t, "data: 2"); strings.Contains(got, "x.y") {
		t.Errorf("a key that does not see it got %q", got)
	}
	public := r.open(t, "/stream")
	r.publish(t, "b", "x.y", `"of b"`, `,"subject":"other"`)
	r.publish(t, "b", "x.y", `"of the default channel"`, `,"subject":"sse"`)
	if got := public.text(t, "default channel"); strings.Contains(got, "of b") {
		t.Errorf("another subject is in the channel: %q", got)
	}
	r.alive(t)
}

func TestOldBrowsers(t *testing.T) {
	wait := pollWait
	t.Cleanup(func() { pollWait = wait }) // once the server is closed
	pollWait = 500 * time.Millisecond
	r := newRig(t, eventlog.MemoryOptions{})
	first := r.publish(t, "a", "x.y", `{"n":1}`)
	r.publish(t, "a", "x.y", `{"n":2}`)

	v := r.open(t, "/v1/stream?names=off&padding=1&last_event_id="+first.Position.String(), "Authorization", "Bearer "+r.a)
	got := v.text(t, `"n":2`)
	if !strings.HasPrefix(got, ": ") || strings.IndexByte(got, '\n') < 2048 || strings.Contains(got, "event:") || !strings.Contains(got, `"type":"x.y"`) {
		t.Errorf("names=off&padding=1 begins with %q", got)
	}

	poll := r.do(t, "GET", "/v1/stream?poll=1&last_event_id="+first.Position.String(), r.a, "")
	if poll.status != 200 || !strings.Contains(poll.body, "event: x.y\n") || strings.Contains(poll.body, `"n":1`) || !strings.Contains(poll.body, "retry: ") {
		t.Errorf("poll=1: %d %q", poll.status, poll.body)
	}
	poll = r.do(t, "GET", "/v1/stream?poll=1&types=none.*&names=off&last_event_id="+first.Position.String(), r.a, "", "X-None", "1")
	if strings.Contains(poll.body, "data:") || !strings.Contains(poll.body, "id: ") {
		t.Errorf("a poll that finds nothing ends without a position: %q", poll.body)
	}
	if reset := r.do(t, "GET", "/v1/stream?poll=1", r.a, "", "Last-Event-ID", "nonsense"); !strings.Contains(reset.body, "stream.reset") {
		t.Errorf("a poll after a foreign position: %q", reset.body)
	}
	for _, query := range []string{"names=of", "poll=2", "padding=x", "names=off&envelope=data", "poll=1&snapshot=1"} {
		r.do(t, "GET", "/v1/stream?"+query, r.a, "").refused(t, query, 400, "malformed-query")
	}
}

func TestInboxFieldsAreHeldToTheSameRules(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	log, e, err := r.server.readInbox(t.Context(), map[string]string{
		"merchant": "a", "type": "payment.made", "subject": "order/9", "id": "pay-77", "data": ` {"n": 1e400}`, "livemode": "false",
	})
	if err != nil || log != "a.test" || e.ID != "pay-77" || e.Source != "/inbox" || string(e.Data) != `{"n": 1e400}` {
		t.Errorf("got %s, %+v, %v", log, e, err)
	}
	for name, fields := range map[string]map[string]string{
		"no type":         {"merchant": "a", "data": "1"},
		"data is no JSON": {"merchant": "a", "type": "x.y", "data": "{"},
		"unknown field":   {"merchant": "a", "type": "x.y", "data": "1", "color": "red"},
		"no merchant":     {"merchant": "nobody", "type": "x.y", "data": "1"},
		"reserved":        {"merchant": "a", "type": "stream.open", "data": "1"},
	} {
		if _, _, err := r.server.readInbox(t.Context(), fields); err == nil || strings.Contains(err.Error(), "\n") || len(err.Error()) > 400 {
			t.Errorf("%s: %v", name, err)
		} else if text, failed := json.Marshal(err.Error()); failed != nil || len(text) < 10 {
			t.Error(fmt.Sprint(failed))
		}
	}
}
