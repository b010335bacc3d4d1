package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/internal/redistest"
	"github.com/paylogic/pushserver/test/stand"
)

// On a server with --limits off the limits of a key do not count, and no answer mentions
// limits. Other gateways still find and end its streams.
func TestLimitsOff(t *testing.T) {
	redis := []string{"--redis", redistest.StartStandalone(t).Addr()}
	code, out, errs := stand.Run(t, "", append([]string{"keys", "create", "--durability", "best-effort",
		"--kind", "live", "--merchant", "acme", "--limits", "requests=1/m,streams=1"}, redis...)...)
	lines := strings.Split(out, "\n")
	if code != 0 || len(lines) < 2 {
		t.Fatal(errs)
	}
	key := lines[1]
	flags := append(redis, "--durability", "best-effort", "--limits", "off")
	one, other := stand.Serve(t, flags...).URL, stand.Serve(t, flags...).URL
	for range 3 {
		resp, text := stand.Ask(t, "GET", one+"/v1/me", key)
		if resp.StatusCode != http.StatusOK || resp.Header.Get("RateLimit") != "" || !strings.Contains(text, `"limits":{}`) {
			t.Errorf("status %d with RateLimit %q: %s", resp.StatusCode, resp.Header.Get("RateLimit"), text)
		}
	}

	stream := stand.OpenStream(t.Context(), t, one, key, "")
	stand.OpenStream(t.Context(), t, one, key, "")
	var open struct{ Connection string }
	if err := json.Unmarshal(stream.NextEvent().Data, &open); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, text := stand.Ask(t, "GET", other+"/v1/connections", key); strings.Contains(text, open.Connection) {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("another gateway shows %s, and not %s", text, open.Connection)
		}
	}
	if resp, text := stand.Ask(t, "DELETE", other+"/v1/connections/"+open.Connection, key); resp.StatusCode != http.StatusOK {
		t.Errorf("it was ended with %d: %s", resp.StatusCode, text)
	}
	if e := stream.NextEvent(); e.Type != "stream.goodbye" {
		t.Errorf("the stream was told %s", e.Type)
	}
}
