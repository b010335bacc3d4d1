package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/internal/redistest"
)

// contents returns all that a Redis holds, as text.
func contents(t *testing.T, n *redistest.Node) string {
	t.Helper()
	var all strings.Builder
	for _, key := range n.Do("KEYS", "*").([]any) {
		read := map[any][]any{
			"string": {"GET", key}, "hash": {"HGETALL", key}, "stream": {"XRANGE", key, "-", "+"},
			"zset": {"ZRANGE", key, 0, -1, "WITHSCORES"}, "set": {"SMEMBERS", key}, "list": {"LRANGE", key, 0, -1},
		}[n.Do("TYPE", key)]
		if read == nil {
			t.Fatalf("%v is of a type that nobody reads", key)
		}
		fmt.Fprintln(&all, key, n.Do(read...))
	}
	return all.String()
}

// Whoever can read Redis, or the logs of a gateway, has nothing to authenticate
// with.
func TestNoSecretIsStoredOrLogged(t *testing.T) {
	node := redistest.StartStandalone(t)
	file := filepath.Join(t.TempDir(), "secrets")
	signing := rand.Text() + rand.Text()
	if err := os.WriteFile(file, []byte(signing+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	var out, logs bytes.Buffer
	address := freeAddress(t)
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"serve", "--redis", node.Addr(), "--durability", "best-effort", "--secret-file", file,
			"--listen", address, "--ops-listen", "127.0.0.1:0"}, strings.NewReader(""), &out, &logs)
	}()
	url := "http://" + address
	awaitAnswer(t, url+"/openapi.yaml")

	live := createKey(t, "--redis", node.Addr(), "--kind", "live", "--merchant", "acme")
	publisher := createKey(t, "--redis", node.Addr(), "--kind", "pub")
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
	end()
	if code := <-done; code != exitOK {
		t.Fatalf("serve ended with %d: %s", code, &logs)
	}
	admin, _, _ := strings.Cut(strings.TrimPrefix(out.String(), "admin key, shown once: "), "\n")
	secrets = append(secrets, admin)

	stored := contents(t, node)
	if !strings.Contains(stored, "acme") || admin == "" {
		t.Fatalf("Redis holds %.200q, and serve printed %q", stored, &out)
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

// freeAddress returns one where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// awaitAnswer returns when a server answers.
func awaitAnswer(t *testing.T, url string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if res, err := http.Get(url); err == nil {
			res.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer", url)
		}
	}
}
