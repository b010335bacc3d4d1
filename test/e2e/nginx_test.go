package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/test/stand"
)

// nginxConf is a usual configuration with the default buffering and a cache. The read
// time-out is short.
const nginxConf = `
user root; daemon off; error_log %[1]s/error.log; pid %[1]s/pid;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
	proxy_cache_path %[1]s/cache keys_zone=all:1m;
	server {
		listen %[2]s;
		location / {
			proxy_pass %[3]s;
			proxy_http_version 1.1;
			proxy_read_timeout 2s;
			proxy_cache all;
			proxy_cache_valid 200 1m;
		}
	}
}
`

// startNginx runs an nginx before a server, until the test ends, and returns its URL.
func startNginx(t *testing.T, server string) string {
	t.Helper()
	dir := t.TempDir()
	address := stand.FreeAddress(t)
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, address, server), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("nginx", "-c", conf, "-e", filepath.Join(dir, "error.log"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	awaitAnswer(t, "http://"+address+"/docs")
	return "http://" + address
}

// An nginx without settings for streams does not end an idle stream at its read
// time-out, and does not delay its events.
func TestAttack82AndIdleStreamBehindNginx(t *testing.T) {
	t.Parallel()
	admin := auth.Mint(auth.Adm).Reveal()
	file := filepath.Join(t.TempDir(), "admin")
	if err := os.WriteFile(file, []byte(admin), 0o600); err != nil {
		t.Fatal(err)
	}
	server := stand.Serve(t, "--heartbeat", "1s", "--admin-key-file", file)
	at := []string{"--url", server.URL, "--key", admin}
	var key, other, publisher string
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) { // until serve has made the admin key
		if code, _, _ := stand.Run(t, "", append([]string{"keys", "list"}, at...)...); code == 0 {
			break
		} else if time.Now().After(deadline) {
			t.Fatal("there is no admin's key")
		}
	}
	for _, made := range []struct {
		secret *string
		args   []string
	}{
		{&key, []string{"--kind", "live", "--merchant", "acme"}}, {&other, []string{"--kind", "live", "--merchant", "globex"}},
		{&publisher, []string{"--kind", "pub"}},
	} {
		_, out, errs := stand.Run(t, "", append(append([]string{"keys", "create"}, made.args...), at...)...)
		lines := strings.Split(out, "\n")
		if len(lines) < 2 {
			t.Fatal(errs)
		}
		*made.secret = lines[1]
	}
	nginx := startNginx(t, server.URL)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream := stand.OpenStream(ctx, t, nginx, key, "")
	stream.NextEvent()
	time.Sleep(7 * time.Second) // more than three times as long as nginx waits
	began := time.Now()
	if code, _, errs := stand.Run(t, "", "publish", "--url", server.URL, "--key", publisher, "--merchant", "acme", "--type", "a.b", "1"); code != 0 {
		t.Fatal(errs)
	}
	if e := stream.NextEvent(); e.Type != "a.b" || time.Since(began) > time.Second {
		t.Errorf("after %s it got %s", time.Since(began), e.Type)
	}

	// Attack 82: the cache gives nothing of one key to another.
	for secret, merchant := range map[string]string{key: "acme", other: "globex"} {
		for range 2 {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, nginx+"/v1/me", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+secret)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := bufio.NewReader(resp.Body).ReadString('\n')
			resp.Body.Close()
			if !strings.Contains(text, `"merchant":"`+merchant+`"`) || !strings.Contains(resp.Header.Get("Cache-Control"), "no-store") {
				t.Errorf("the key of %s is answered with %s", merchant, text)
			}
		}
	}
	replay := stand.OpenStream(ctx, t, nginx, other, "")
	if e := replay.NextEvent(); e.Type != "stream.open" {
		t.Errorf("another key's stream begins with %s", e.Type)
	}
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
