package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/paylogic/pushserver/api/client"
	"github.com/paylogic/pushserver/test/stand"
)

const samples = "../../api/web/samples"

// A stage is a server for the samples of the guide.
type stage struct {
	intro stand.DevServer
	env   []string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	intro := stand.Dev(t)
	s := &stage{intro: intro, env: append(os.Environ(),
		"PUSHSERVER_URL="+intro.URL, "PUSHSERVER_KEY="+intro.Keys["acme"], "PUSHSERVER_TEST_KEY="+intro.TestKeys["acme"],
		"PUSHSERVER_PUBLISHER_KEY="+intro.PublisherKey)}
	// The samples resume after the first event.
	s.env = append(s.env, "POSITION="+s.publish(t, "payment.made", `{"amount":1}`))
	s.publish(t, "payment.made", `{"amount":4200,"marked":"behind"}`)
	return s
}

func (s *stage) publish(t *testing.T, typ, data string) (position string) {
	t.Helper()
	code, out, errs := stand.Run(t, "", "publish", "--url", s.intro.URL, "--key", s.intro.PublisherKey, "--merchant", "acme", "--type", typ, data)
	var receipt struct{ Position string }
	if err := json.Unmarshal([]byte(out), &receipt); code != 0 || err != nil {
		t.Fatalf("publish said %q", errs)
	}
	return receipt.Position
}

// run runs a sample until it has printed the wanted text, and ends it.
func (s *stage) run(t *testing.T, want, in string, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Dir = s.env, in
	var out lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	next := time.NewTicker(300 * time.Millisecond)
	defer next.Stop()
	for !strings.Contains(out.String(), want) {
		select {
		case <-next.C: // for samples that start at the newest event
			s.publish(t, "payment.made", `{"amount":4300,"marked":"live"}`)
		case <-done:
			if strings.Contains(out.String(), want) {
				return
			}
			t.Fatalf("%s %v printed %q, want %q", name, args, out.String(), want)
		case <-ctx.Done():
			t.Fatalf("%s %v printed %q for a minute, want %q", name, args, out.String(), want)
		}
	}
	cancel()
	<-done
}

// The samples of the guide work as they are printed.
func TestSamplesOfTheGuide(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for name, want := range map[string]string{
		"stream.sh": `"marked":"live"`, "test-event.sh": `"position"`, "resume.sh": `"marked":"behind"`, "history.sh": `"marked":"behind"`,
		"filter.sh": `"marked":"live"`, "explain.sh": `"delivered":true`, "token.sh": `"token"`, "connections.sh": `"connections"`,
		"publish.sh": `"position"`,
	} {
		s.run(t, want, samples, "bash", name)
	}
	s.run(t, "order-9932-paid", samples, "python3", "publish.py")
	s.run(t, "behind", samples, "python3", "stream.py")
	bin := t.TempDir() // go run would not end its program when it is killed
	build := exec.Command("go", "build", "-o", bin, "./publish", "./stream")
	build.Dir = samples
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	s.run(t, "published at", samples, filepath.Join(bin, "publish"))
	s.run(t, `"marked":"behind"`, samples, filepath.Join(bin, "stream"))
	script, err := os.ReadFile(filepath.Join(samples, "stream.js"))
	if err != nil {
		t.Fatal(err)
	}
	s.run(t, "marked: 'live'", "testdata/foreign", "node", "--input-type=module", "-e", string(script))
}

func TestPageOfTheGuide(t *testing.T) {
	s := newStage(t)
	page, err := os.ReadFile(filepath.Join(samples, "page.html"))
	if err != nil {
		t.Fatal(err)
	}
	var token string
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		text := bytes.ReplaceAll(page, []byte("https://push.example"), []byte(s.intro.URL))
		w.Write(bytes.Replace(text, []byte("<script>"), []byte(`<script data-token="`+token+`">`), 1))
	}))
	defer shop.Close()
	token = mintToken(t, s.intro, shop.URL)
	publish := func(n string) {
		t.Helper()
		code, _, errs := stand.Run(t, "", "publish", "--url", s.intro.URL, "--key", s.intro.PublisherKey, "--merchant", "acme",
			"--type", "ticket.availability", "--subject", "event/42", `{"available":`+n+`}`)
		if code != 0 {
			t.Fatal(errs)
		}
	}
	publish("17")
	b := openBrowser(t)
	b.do(t, chromedp.Navigate(shop.URL))
	b.until(t, `document.getElementById("left").value === "17"`)
	publish("16")
	b.until(t, `document.getElementById("left").value === "16"`)
}

// mintToken returns a token of acme's key for pages of an origin.
func mintToken(t *testing.T, intro stand.DevServer, origin string) string {
	t.Helper()
	c := client.Client{URL: intro.URL, Key: intro.Keys["acme"]}
	var minted struct{ Token string }
	if err := c.Do(t.Context(), http.MethodPost, "/v1/tokens", nil, map[string]string{"origin": origin}, &minted); err != nil {
		t.Fatal(err)
	}
	return minted.Token
}

// A lockedBuffer may be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// secretFile returns a file with a secret that signs tokens.
func secretFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secrets")
	if err := os.WriteFile(file, []byte(rand.Text()+rand.Text()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
