package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paylogic/pushserver/auth"
)

func TestSecretFileThatOthersReadIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(auth.Mint(auth.Adm).Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o644); err != nil { // whatever the umask
		t.Fatal(err)
	}
	for flag, args := range map[string][]string{
		"--secret-file":         nil,
		"--admin-key-file":      nil,
		"--redis-password-file": {"--redis", "127.0.0.1:1"},
		"--tls-key":             {"--tls-cert", file},
	} {
		args = append([]string{"serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", flag, file}, args...)
		code, _, errs := execute(t, "", args...)
		if code != exitFailed || !strings.Contains(errs, flag+": "+file) || !strings.Contains(errs, "mode 0644") || !strings.Contains(errs, "chmod 0600 "+file) {
			t.Errorf("%s with a file of mode 0644 ended with %d and said %q", flag, code, errs)
		}
	}
}
