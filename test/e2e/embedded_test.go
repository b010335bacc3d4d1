package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/test/stand"
)

func TestFirstAdminKeyIsShownOnceForADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	p := stand.Serve(t, "--data", dir)
	p.Terminate(30 * time.Second)
	text, found := strings.CutPrefix(p.Stdout(), "admin key, shown once: ")
	secret, err := auth.ParseSecret(strings.TrimSuffix(text, "\n"))
	if !found || err != nil || secret.Kind() != auth.Adm {
		t.Fatalf("serve printed %q (%v), want an admin key", p.Stdout(), err)
	}

	p = stand.Serve(t, "--data", dir)
	req, err := http.NewRequest(http.MethodGet, p.URL+"/v1/me", nil)
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
	p.Terminate(30 * time.Second)
	if p.Stdout() != "" {
		t.Errorf("serve printed %q, want nothing", p.Stdout())
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v (%v), want it for its owner alone", info.Mode(), err)
	}
}

func TestDirectoryThatCannotBeUsedIsRefusedInALine(t *testing.T) {
	held := t.TempDir()
	stand.Serve(t, "--data", held)
	for dir, says := range map[string]string{
		held:             "another process holds it",
		"/no/such/place": "no such file or directory",
	} {
		code, out, errs := stand.Run(t, "", "serve", "--data", dir, "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0")
		lines := strings.Split(strings.TrimSpace(errs), "\n") // the first says where it listens
		said := lines[len(lines)-1]
		if code != 1 || out != "" || !strings.HasPrefix(said, "pushserver: --data: ") || !strings.Contains(said, says) {
			t.Errorf("serve --data %s ended with %d, printed %q and said %q, want %q", dir, code, out, errs, says)
		}
	}
}

func TestServeBeginsWithTheAdminKeyOfAFile(t *testing.T) {
	secret := auth.Mint(auth.Adm).Reveal()
	file := filepath.Join(t.TempDir(), "admin-key")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	url := stand.Serve(t, "--admin-key-file", file).URL
	for tries := 0; ; tries++ { // the key is made right after serve says where it listens
		code, _, errs := stand.Run(t, "", "keys", "list", "--url", url, "--key", secret)
		if code == 0 {
			break
		}
		if tries == 50 {
			t.Fatalf("keys list with the key of the file said %q", errs)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := stand.Run(t, "", "serve", "--admin-key-file", file); code != 1 || !strings.Contains(errs, "--admin-key-file") {
		t.Errorf("serve with another file ended with %d and said %q", code, errs)
	}
}
