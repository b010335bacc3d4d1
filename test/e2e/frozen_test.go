package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/internal/redistest"
	"github.com/paylogic/pushserver/test/stand"
)

func TestPublisherIsAnsweredSoonWhileRedisIsFrozen(t *testing.T) {
	redis := redistest.StartStandalone(t)
	publisher := stand.CreateKey(t, "--redis", redis.Addr(), "--kind", "pub")
	stand.CreateKey(t, "--redis", redis.Addr(), "--kind", "live", "--merchant", "acme")
	server := stand.Serve(t, "--redis", redis.Addr(), "--durability", "best-effort")
	publish := func() (status int, text string, took time.Duration) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/events",
			strings.NewReader(`{"merchant":"acme","type":"payment.paid","id":"one","data":1}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+publisher)
		req.Header.Set("Content-Type", "application/json")
		began := time.Now()
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body), time.Since(began)
	}
	redis.Pause()
	for range 2 { // the first time the gateway does not know the key yet
		// A busy machine may take one second of this time.
		if status, body, took := publish(); status != http.StatusServiceUnavailable || !strings.Contains(body, "store-unavailable") || took > 2500*time.Millisecond {
			t.Errorf("while Redis is frozen a publish is answered with %d after %s: %s", status, took, body)
		} else {
			t.Logf("answered after %s", took)
		}
	}
	redis.Resume()
	for try := 0; ; try++ {
		status, body, _ := publish()
		if status == http.StatusCreated || status == http.StatusOK {
			return
		}
		if try == 20 {
			t.Fatalf("after Redis is back a publish is answered with %d: %s", status, body)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
