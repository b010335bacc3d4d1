package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/internal/redistest"
)

// Of a server without limits, a key may do more than it was given, nothing is said
// of limits, and a stream is found on another gateway as on any server.
func TestLimitsOff(t *testing.T) {
	redis := []string{"--redis", redistest.StartStandalone(t).Addr()}
	code, out, errs := execute(t, "", append([]string{"keys", "create", "--durability", "best-effort",
		"--kind", "live", "--merchant", "acme", "--limits", "requests=1/m,streams=1"}, redis...)...)
	lines := strings.Split(out, "\n")
	if code != exitOK || len(lines) < 2 {
		t.Fatal(errs)
	}
	key := lines[1]
	flags := append(redis, "--durability", "best-effort", "--limits", "off")
	one, _ := startGateway(t, flags...)
	other, _ := startGateway(t, flags...)
	for range 3 {
		resp, text := ask(t, "GET", one+"/v1/me", key)
		if resp.StatusCode != http.StatusOK || resp.Header.Get("RateLimit") != "" || !strings.Contains(text, `"limits":{}`) {
			t.Errorf("status %d with RateLimit %q: %s", resp.StatusCode, resp.Header.Get("RateLimit"), text)
		}
	}

	stream := openStream(t.Context(), t, one, key, "")
	openStream(t.Context(), t, one, key, "")
	var open struct{ Connection string }
	if err := json.Unmarshal(nextEvent(t, stream).Data, &open); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, text := ask(t, "GET", other+"/v1/connections", key); strings.Contains(text, open.Connection) {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("another gateway shows %s, and not %s", text, open.Connection)
		}
	}
	if resp, text := ask(t, "DELETE", other+"/v1/connections/"+open.Connection, key); resp.StatusCode != http.StatusOK {
		t.Errorf("it was ended with %d: %s", resp.StatusCode, text)
	}
	if e := nextEvent(t, stream); e.Type != "stream.goodbye" {
		t.Errorf("the stream was told %s", e.Type)
	}
}
