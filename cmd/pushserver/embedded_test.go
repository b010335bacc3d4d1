package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paylogic/pushserver/auth"
)

func serveData(dir string) []string {
	return []string{"serve", "--data", dir, "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"}
}

func TestFirstAdminKeyIsShownOnceForADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	p := startProgram(t, serveData(dir)...)
	p.end(t)
	text, found := strings.CutPrefix(p.out.String(), "admin key, shown once: ")
	secret, err := auth.ParseSecret(strings.TrimSuffix(text, "\n"))
	if !found || err != nil || secret.Kind() != auth.Adm {
		t.Fatalf("serve printed %q (%v), want an admin key", p.out.String(), err)
	}

	p = startProgram(t, serveData(dir)...)
	req, err := http.NewRequest(http.MethodGet, p.url+"/v1/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret.Reveal())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the first key is answered with %s, want it to be there still", resp.Status)
	}
	p.end(t)
	if p.out.Len() > 0 {
		t.Errorf("serve printed %q, want nothing", p.out.String())
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v (%v), want it for its owner alone", info.Mode(), err)
	}
}

func TestDirectoryThatCannotBeUsedIsRefusedInALine(t *testing.T) {
	held := t.TempDir()
	startProgram(t, serveData(held)...)
	for dir, says := range map[string]string{
		held:             "another process holds it",
		"/no/such/place": "no such file or directory",
	} {
		code, out, errs := execute(t, "", serveData(dir)...)
		lines := strings.Split(strings.TrimSpace(errs), "\n") // the first says where it listens
		said := lines[len(lines)-1]
		if code != exitFailed || out != "" || !strings.HasPrefix(said, "pushserver: --data: ") || !strings.Contains(said, says) {
			t.Errorf("serve --data %s ended with %d, printed %q and said %q, want %q", dir, code, out, errs, says)
		}
	}
}
