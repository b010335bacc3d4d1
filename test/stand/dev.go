package stand

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/ratelimit/policy"
)

// A DevServer is a running dev server, as its first line introduces it.
type DevServer struct {
	URL          string            `json:"url"`
	OpsURL       string            `json:"ops_url"`
	PublisherKey string            `json:"publisher_key"`
	AdminKey     string            `json:"admin_key"`
	Keys         map[string]string `json:"keys"`      // live, by merchant
	TestKeys     map[string]string `json:"test_keys"` // by merchant
}

// Dev starts a dev server with the merchants acme and globex, until the test ends.
func Dev(t testing.TB) DevServer {
	t.Helper()
	p := Pushserver(t).Start(t, Launch{}, "dev", "--listen", "127.0.0.1:0", "--json")
	var line string
	AwaitThat(t, startLimit, "dev --json to print its first line", func() bool {
		first, _, whole := strings.Cut(p.Stdout(), "\n")
		line = first
		return whole || p.HasExited()
	})
	var dev DevServer
	if err := json.Unmarshal([]byte(line), &dev); err != nil {
		t.Fatalf("the first line of dev --json is %q: %v", line, err)
	}
	return dev
}

// Publish publishes for acme, or for the merchant that flags name, and returns the
// position.
func (d DevServer) Publish(t testing.TB, typ, data string, flags ...string) (position string) {
	t.Helper()
	return Publish(t, d.URL, d.PublisherKey, "acme", typ, data, flags...)
}

// Publish publishes an event with the command line and returns its position.
func Publish(t testing.TB, url, key, merchant, typ, data string, flags ...string) (position string) {
	t.Helper()
	args := []string{"publish", "--url", url, "--key", key, "--merchant", merchant, "--type", typ}
	code, out, errs := Run(t, data, append(append(args, flags...), "-")...)
	var receipt struct{ Position string }
	if err := json.Unmarshal([]byte(out), &receipt); code != 0 || err != nil {
		t.Fatalf("publish of %s ended with %d and said %q", typ, code, errs)
	}
	return receipt.Position
}

// CreateKey makes a key with the least limits, in any Redis, and returns the
// secret.
func CreateKey(t testing.TB, flags ...string) string {
	t.Helper()
	args := []string{"keys", "create", "--json", "--durability", "best-effort", "--limits", policy.Largest().String()}
	code, out, errs := Run(t, "", append(args, flags...)...)
	var made struct{ Key string }
	if err := json.Unmarshal([]byte(out), &made); code != 0 || err != nil || made.Key == "" {
		t.Fatalf("keys create ended with %d, printed %d bytes and said %q", code, len(out), errs)
	}
	return made.Key
}

// AwaitThat returns when a condition holds, or fails the test.
func AwaitThat(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(limit)
	for !holds() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("the test ended while it waited for %s", what)
		case <-late:
			t.Fatalf("waited %v for %s", limit, what)
		}
	}
}
