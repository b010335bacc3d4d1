package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/streams/redistest"
)

// Of a server without limits, a key may do more than it was given, nothing is said
// of limits, and a stream is found on another gateway as on any server.
func TestLimitsOff(t *testing.T) {
	t.Parallel()
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
	ask := func(method, target string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(text)
	}
	for range 3 {
		resp, text := ask(http.MethodGet, one+"/v1/me")
		if resp.StatusCode != http.StatusOK || resp.Header.Get("RateLimit") != "" || !strings.Contains(text, `"limits":{}`) {
			t.Errorf("status %d with RateLimit %q: %s", resp.StatusCode, resp.Header.Get("RateLimit"), text)
		}
	}

	stream := openStream(t.Context(), t, one, key, "")
	openStream(t.Context(), t, one, key, "")
	open := nextEvent(t, stream)
	_, id, _ := strings.Cut(string(open.Data), `"connection":"`)
	id, _, _ = strings.Cut(id, `"`)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, text := ask(http.MethodGet, other+"/v1/connections"); strings.Contains(text, id) {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("another gateway shows %s, and not %s", text, id)
		}
	}
	if resp, text := ask(http.MethodDelete, other+"/v1/connections/"+id); resp.StatusCode != http.StatusOK {
		t.Errorf("it was ended with %d: %s", resp.StatusCode, text)
	}
	if e := nextEvent(t, stream); e.Type != "stream.goodbye" {
		t.Errorf("the stream was told %s", e.Type)
	}
}
