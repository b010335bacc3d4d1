package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/internal/redistest"
	"github.com/paylogic/pushserver/test/stand"
)

// A page that has seen no event yet resumes at the position of stream.open. It gets
// what is published while its gateway drains.
func TestPageOnAQuietLogMissesNothingThroughADrain(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	redis := redistest.StartStandalone(t).Addr()
	over := []string{"--redis", redis, "--durability", "best-effort"}
	key := stand.CreateKey(t, "--redis", redis, "--kind", "live", "--merchant", "acme")
	publisher := stand.CreateKey(t, "--redis", redis, "--kind", "pub")

	first, second := stand.Serve(t, over...), stand.Serve(t, over...)
	page := stand.OpenStream(ctx, t, first.URL, key, "")
	open := page.NextEvent()
	if open.Type != "stream.open" || open.ID == "" {
		t.Fatalf("the stream begins with %+v", open)
	}
	ended := make(chan struct{})
	go func() { first.Terminate(30 * time.Second); close(ended) }()
	defer func() { <-ended }()
	goodbye := page.NextEvent()
	if goodbye.Type != "stream.goodbye" || goodbye.Retry < time.Second || !strings.Contains(string(goodbye.Data), `"reason":"draining"`) {
		t.Errorf("the gateway ended the stream with %+v", goodbye)
	}
	stand.Publish(t, second.URL, publisher, "acme", "payment.failed", `{"id":9931}`)
	back := stand.OpenStream(ctx, t, second.URL, key, open.ID)
	back.NextEvent()
	if e := back.NextEvent(); e.Type != "payment.failed" || !strings.Contains(string(e.Data), "9931") {
		t.Errorf("after the drain the page got %+v, want the event that was published meanwhile", e)
	}
}
