package main

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/internal/redistest"
	"github.com/paylogic/pushserver/streams/sse"
)

// openStream connects as an EventSource does, and returns what reads its events.
func openStream(ctx context.Context, t *testing.T, url, key, position string) *sse.Decoder {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	if position != "" {
		req.Header.Set("Last-Event-ID", position)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the stream is answered with %s", resp.Status)
	}
	return sse.NewDecoder(bufio.NewReader(resp.Body))
}

func nextEvent(t *testing.T, d *sse.Decoder) sse.Event {
	t.Helper()
	for {
		e, err := d.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e.Type != "stream.cursor" { // comes when there was nothing to tell for a heartbeat
			return e
		}
	}
}

// A page that has seen no event yet has the position of stream.open, so that
// what is published while its gateway goes away is not behind it.
func TestPageOnAQuietLogMissesNothingThroughADrain(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	redis := redistest.StartStandalone(t).Addr()
	over := []string{"--redis", redis, "--durability", "best-effort"}
	key := createKey(t, "--redis", redis, "--kind", "live", "--merchant", "acme")
	publisher := createKey(t, "--redis", redis, "--kind", "pub")

	first, end := startGateway(t, over...)
	second, _ := startGateway(t, over...)
	page := openStream(ctx, t, first, key, "")
	open := nextEvent(t, page)
	if open.Type != "stream.open" || open.ID == "" {
		t.Fatalf("the stream begins with %+v", open)
	}
	end()
	goodbye := nextEvent(t, page)
	if goodbye.Type != "stream.goodbye" || goodbye.Retry < time.Second || !strings.Contains(string(goodbye.Data), `"reason":"draining"`) {
		t.Errorf("the gateway ended the stream with %+v", goodbye)
	}
	if code, _, errs := execute(t, "", "publish", "--url", second, "--key", publisher,
		"--merchant", "acme", "--type", "payment.failed", `{"id":9931}`); code != exitOK {
		t.Fatalf("publish ended with %d: %s", code, errs)
	}
	back := openStream(ctx, t, second, key, open.ID)
	nextEvent(t, back)
	if e := nextEvent(t, back); e.Type != "payment.failed" || !strings.Contains(string(e.Data), "9931") {
		t.Errorf("after the drain the page got %+v, want the event that was published meanwhile", e)
	}
}
