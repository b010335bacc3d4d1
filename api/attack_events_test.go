package api

import (
	"github.com/paylogic/pushserver/api/cloudevents"
	"github.com/paylogic/pushserver/streams/eventlog"

	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
)

// post publishes a body as it is.
func (r *rig) post(t testing.TB, body string, header ...string) response {
	t.Helper()
	return r.do(t, "POST", "/v1/events", r.pub, body, header...)
}

func TestAttack40InvisibleCharactersInAttributes(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	for _, char := range []string{"\n", "\r", "\r\n", "\x00", "\x7f", "\u0085", "\u2028", "\u202e", "\u200b", "\ufeff"} {
		for _, name := range []string{"id", "type", "subject", "source"} {
			event := map[string]any{"merchant": "a", "type": "t", "data": 1}
			event[name] = "x" + char + "y"
			body, err := json.Marshal(event)
			if err != nil {
				t.Fatal(err)
			}
			got := r.post(t, string(body))
			got.refused(t, fmt.Sprintf("%q in %s", char, name), 422, "schema-violation")
			if !strings.Contains(got.body, `"pointer":"/`+name+`"`) {
				t.Errorf("%q in %s: no pointer in %s", char, name, got.body)
			}
		}
	}
	r.alive(t)
}

func TestAttack42TextThatIsNotUTF8(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	for _, data := range []string{"\"\xe2\x82\"", "\"\xff\"", `"\ud800"`, `"\udc00\ud800"`, `{"\ud800":1}`} {
		r.post(t, `{"merchant":"a","type":"t","data":`+data+`}`).refused(t, data, 422, "invalid-utf8")
	}
	r.alive(t)
}

func TestAttack43DuplicateAndFoldedMembers(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	for body, name := range map[string]string{
		`{"merchant":"a","merchant":"b","type":"t","data":1}`:            "duplicate-member",
		`{"merchant":"a","type":"t","data":{"x":[{"y":1,"y":2}]}}`:       "duplicate-member",
		`{"merchant":"a","type":"t","data":{"x":1,"\u0078":2}}`:          "duplicate-member",
		`{"MERCHANT":"a","type":"t","data":1}`:                           "schema-violation",
		`{"merchant":"a","MERCHANT":"b","type":"t","data":1}`:            "schema-violation",
		`{"merchant":"a","type":"t","data":1,"` + "\u017f" + `ource":1}`: "schema-violation",
		`{"merchant":"a","type":"t","data":1,"status":1}`:                "schema-violation",
	} {
		r.post(t, body).refused(t, body, 422, name)
	}
	r.alive(t)
}

func TestAttack45DeepNesting(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	nested := func(n int) string {
		return `{"merchant":"a","type":"t","data":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	binary := []string{"ce-specversion", "1.0", "ce-id", "deep", "ce-source", "/s", "ce-type", "t", "ce-merchant", "a"}
	structured := func(n int) string {
		return `{"specversion":"1.0","id":"` + fmt.Sprint(n) + `","source":"/s",` + nested(n)[1:]
	}
	data := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for form, got := range map[string]response{
		"short": r.post(t, nested(64)), "binary": r.post(t, data(64), binary...),
		"structured": r.post(t, structured(64), "Content-Type", cloudevents.StructuredType),
		"batch":      r.post(t, "["+structured(63)+"]", "Content-Type", cloudevents.BatchType),
	} {
		if got.status != 201 && form != "batch" || form == "batch" && got.status != 200 {
			t.Errorf("64 levels of data, %s: status %d, %s", form, got.status, got.body)
		}
	}
	for _, n := range []int{65, 10_000, 100_000} {
		r.post(t, nested(n)).refused(t, fmt.Sprint(n, " levels, short"), 422, "too-deep")
		r.post(t, data(n), binary...).refused(t, fmt.Sprint(n, " levels, binary"), 422, "too-deep")
		r.post(t, structured(n), "Content-Type", cloudevents.StructuredType).refused(t, fmt.Sprint(n, " levels, structured"), 422, "too-deep")
	}
	r.post(t, strings.Repeat("[", 200_000)).refused(t, "open arrays", 422, "too-deep")
	r.post(t, strings.Repeat("[", 1_000_000)).refused(t, "a million open arrays", 413, "payload-too-large")
	r.alive(t)
}

func TestAttack46LargeBodies(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	sized := func(n int) string {
		const frame = `{"merchant":"a","type":"t","data":""}`
		return frame[:len(frame)-2] + strings.Repeat("x", n-len(frame)) + frame[len(frame)-2:]
	}
	for _, n := range []int{64 << 10, 256 << 10} {
		if got := r.post(t, sized(n)); got.status != 201 {
			t.Errorf("%d bytes: status %d, %s", n, got.status, got.body)
		}
	}
	r.post(t, sized(256<<10+1)).refused(t, "one byte more", 413, "payload-too-large")
	head := "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + r.pub + "\r\nContent-Type: application/json\r\n"
	for in, request := range map[string]string{
		"10 GB announced": head + "Content-Length: 10000000000\r\n\r\n{",
		"chunks":          head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("10000\r\n"+strings.Repeat(" ", 0x10000)+"\r\n", 5),
	} {
		got := r.raw(t, request)
		if !strings.HasPrefix(got, "HTTP/1.1 413 ") || !strings.Contains(got, "payload-too-large") || strings.Count(got, "HTTP/1.1") != 1 {
			t.Errorf("%s: %.200s", in, got)
		}
		if !strings.Contains(got, "\r\nConnection: close\r\n") {
			t.Errorf("%s: the connection is kept: %.300s", in, got)
		}
	}
	r.alive(t)
}

func TestAttack48BodyThatIsNotOneValue(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	good := `{"merchant":"a","type":"t","data":1}`
	for _, body := range []string{good + good, good + " x", "\ufeff" + good, "", "null", "[]", good[:20], "{", `"x"`, "1"} {
		r.post(t, body).refused(t, body, 400, "malformed-json")
	}
	if got := r.post(t, "[]", "Content-Type", cloudevents.BatchType); got.status != 200 {
		t.Errorf("an empty batch: status %d, %s", got.status, got.body)
	}
	r.post(t, good, "Content-Type", cloudevents.BatchType).refused(t, "no array", 400, "malformed-json")
	r.alive(t)
}

func TestAttack49ContentTypes(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "",
		"application/json; charset=utf-16", "application/json\napplication/json", "application/json, text/plain"} {
		r.post(t, `{"merchant":"a","type":"t","data":1}`, "Content-Type", kind).refused(t, kind, 415, "unsupported-media-type")
	}
	r.post(t, "x", "Content-Encoding", "gzip").refused(t, "gzip", 415, "unsupported-encoding")
	r.alive(t)
}

func TestAttack51SameIDWithAnotherBody(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	first := r.publish(t, "a", "t", "1", `,"id":"one","time":"2026-01-01T00:00:00Z"`)
	again := r.post(t, `{"merchant":"a","type":"t","data":1,"id":"one","time":"2026-01-01T00:00:00Z"}`)
	if again.status != 200 || !strings.Contains(again.body, first.Position.String()) {
		t.Errorf("the same again: status %d, %s", again.status, again.body)
	}
	r.post(t, `{"merchant":"a","type":"t","data":2,"id":"one","time":"2026-01-01T00:00:00Z"}`).refused(t, "other data", 409, "id-reused")
	r.alive(t)
}

func TestAttack52BoundsOfIDAndTime(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	event := func(name, value string) string {
		return `{"merchant":"a","type":"t","data":1,"` + name + `":"` + value + `"}`
	}
	for _, body := range []string{event("id", "x"), event("id", strings.Repeat("y", 128)),
		event("time", time.Now().Add(time.Hour).UTC().Format(time.RFC3339))} {
		if got := r.post(t, body); got.status != http.StatusCreated {
			t.Errorf("%s: status %d, %s", body, got.status, got.body)
		}
	}
	for _, body := range []string{event("id", strings.Repeat("y", 129)), event("id", ""), event("time", "10000-01-01T00:00:00Z")} {
		r.post(t, body).refused(t, body, 422, "schema-violation")
	}
}

// TestNothingPublishedForgesALine publishes what looks like pieces of a stream
// and compares what arrives with what was taken, event by event.
func TestNothingPublishedForgesALine(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	random := rand.New(rand.NewPCG(40, 41))
	pieces := []string{"\n", "\r", "\r\n", "\n\n", " ", "\t"}
	strs := []string{`\n\nid: 1-1-AAAAA\nevent: forged\ndata: x\n\n`, `\r\rid: x`, "event: forged", `\u0000`, `\u2028`, "\u2028", "\u0085", ":", "data:", "retry: 1", "\ufeff"}
	space := func() string {
		var b strings.Builder
		for range random.IntN(4) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		return b.String()
	}
	const n = 300
	want := make([][]byte, n)
	ids := make([]string, n)
	for i := range n {
		data := space() + "{" + space() + `"` + strs[random.IntN(len(strs))] + `"` + space() + ":" + space() +
			`["` + strs[random.IntN(len(strs))] + `",` + space() + "1]" + space() + "}"
		var b bytes.Buffer
		if err := json.Compact(&b, []byte(data)); err != nil {
			t.Fatal(err)
		}
		want[i] = b.Bytes()
		ids[i] = r.publish(t, "a", "t", data, `,"id":"id: `+fmt.Sprint(i)+`","subject":"data: x"`).Position.String()
	}
	r.publish(t, "a", "last", "0")

	i := 0
	for _, e := range r.watch(t, r.a, "?since=1h&envelope=data").until(t, "last") {
		if strings.HasPrefix(e.Type, "stream.") || e.Type == "last" {
			continue
		}
		var b bytes.Buffer
		if err := json.Compact(&b, e.Data); err != nil || e.Type != "t" || e.ID != ids[i] || !bytes.Equal(b.Bytes(), want[i]) {
			t.Fatalf("event %d is %q %q %q (%v), want %q %q", i, e.ID, e.Type, e.Data, err, ids[i], want[i])
		}
		i++
	}
	if i != n {
		t.Errorf("%d events arrived, want %d", i, n)
	}

	lines := r.watch(t, r.a, "?since=1h", "Accept", lineStream).lines
	for i := 0; ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		var e struct{ ID, Event string }
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("a line is no JSON: %q: %v", line, err)
		}
		if e.Event == "last" {
			break
		}
		if strings.HasPrefix(e.Event, "stream.") {
			continue
		}
		if e.Event != "t" || e.ID != ids[i] {
			t.Fatalf("line %d is %q, want %q", i, line, ids[i])
		}
		i++
	}
}
