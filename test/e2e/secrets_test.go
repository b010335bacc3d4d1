package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/internal/redistest"
	"github.com/paylogic/pushserver/test/stand"
)

// contents returns everything in a Redis, as text.
func contents(t *testing.T, n *redistest.Node) string {
	t.Helper()
	var all strings.Builder
	for _, key := range n.Do("KEYS", "*").([]any) {
		read := map[any][]any{
			"string": {"GET", key}, "hash": {"HGETALL", key}, "stream": {"XRANGE", key, "-", "+"},
			"zset": {"ZRANGE", key, 0, -1, "WITHSCORES"}, "set": {"SMEMBERS", key}, "list": {"LRANGE", key, 0, -1},
		}[n.Do("TYPE", key)]
		if read == nil {
			t.Fatalf("%v is of a type that no gateway reads", key)
		}
		fmt.Fprintln(&all, key, n.Do(read...))
	}
	return all.String()
}

// Neither Redis nor the logs of a gateway contain anything to authenticate with.
func TestNoSecretIsStoredOrLogged(t *testing.T) {
	node := redistest.StartStandalone(t)
	file := filepath.Join(t.TempDir(), "secrets")
	signing := rand.Text() + rand.Text()
	if err := os.WriteFile(file, []byte(signing+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	logs := new(lockedBuffer)
	server := stand.Pushserver(t).Start(t, stand.Launch{Log: logs}, "serve", "--redis", node.Addr(), "--durability", "best-effort",
		"--secret-file", file, "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0")
	server.AwaitServing()
	url := server.URL

	live := stand.CreateKey(t, "--redis", node.Addr(), "--kind", "live", "--merchant", "acme")
	publisher := stand.CreateKey(t, "--redis", node.Addr(), "--kind", "pub")
	secrets := []string{live, publisher, signing}
	ask := func(method, path, key, body string) []byte {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // a stream goes on
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			req.Header.Set("Authorization", "Bearer "+key)
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var answer bytes.Buffer
		_, _ = answer.ReadFrom(res.Body)
		return answer.Bytes()
	}
	var minted struct{ Token string }
	if err := json.Unmarshal(ask("POST", "/v1/tokens", live, `{"origin":"https://shop.example"}`), &minted); err != nil || minted.Token == "" {
		t.Fatalf("no token was minted: %v", err)
	}
	secrets = append(secrets, minted.Token)
	wrong := auth.Mint(auth.Live).Reveal()
	secrets = append(secrets, wrong)
	ask("POST", "/v1/events", publisher, `{"merchant":"acme","type":"a.b","data":1}`)
	ask("GET", "/v1/stream?access_token="+minted.Token, "", "")
	ask("GET", "/v1/stream", live, "")
	ask("GET", "/v1/stream?key="+live, "", "")
	ask("GET", "/v1/stream", wrong, "")
	ask("POST", "/v1/events", live, `{"merchant":"acme","type":"a.b","data":1}`)
	server.Terminate(30 * time.Second)
	admin, _, _ := strings.Cut(strings.TrimPrefix(server.Stdout(), "admin key, shown once: "), "\n")
	secrets = append(secrets, admin)

	stored := contents(t, node)
	if !strings.Contains(stored, "acme") || admin == "" {
		t.Fatalf("Redis holds %.200q, and serve printed %q", stored, server.Stdout())
	}
	for i, secret := range secrets {
		for _, part := range []string{secret, secret[len(secret)-20:]} {
			if strings.Contains(stored, part) {
				t.Errorf("secret %d stands in Redis", i)
			}
			if strings.Contains(logs.String(), part) {
				t.Errorf("secret %d stands in the log", i)
			}
		}
	}
}
