package e2e

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paylogic/pushserver/test/stand"
)

// Code that other people's tools generate from the description builds and works.

// describe writes the server's description to a file.
func describe(t *testing.T, intro stand.DevServer, file string) {
	t.Helper()
	resp, err := http.Get(intro.URL + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, resp.Body); err != nil {
		t.Fatal(err)
	}
}

// command runs a program that must succeed, and returns what it printed.
func command(t *testing.T, intro stand.DevServer, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PUSHSERVER_URL="+intro.URL, "PUSHSERVER_KEY="+intro.Keys["acme"],
		"PUSHSERVER_PUBLISHER_KEY="+intro.PublisherKey, "PUSHSERVER_ADMIN_KEY="+intro.AdminKey)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return string(out)
}

func TestGoClientOfOapiCodegen(t *testing.T) {
	t.Parallel()
	intro := stand.Dev(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/generated")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "gen"), 0o700); err != nil {
		t.Fatal(err)
	}
	describe(t, intro, filepath.Join(dir, "openapi.json"))
	command(t, intro, dir, "go", "tool", "oapi-codegen", "-generate", "types,client", "-package", "gen", "-o", "gen/gen.go", "openapi.json")
	if out := command(t, intro, dir, "go", "run", "."); !strings.Contains(out, "all as described") {
		t.Errorf("the generated client says %s", out)
	}
}

func TestTypesOfOpenAPITypeScript(t *testing.T) {
	t.Parallel()
	intro := stand.Dev(t)
	const foreign = "testdata/foreign"
	work, err := os.MkdirTemp(foreign, "typed-") // beside node_modules
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(work) })
	describe(t, intro, filepath.Join(work, "openapi.json"))
	bin, err := filepath.Abs(filepath.Join(foreign, "node_modules", ".bin"))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(foreign, "typed.ts"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(work, "typed.ts"), source, 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, intro, work, filepath.Join(bin, "openapi-typescript"), "openapi.json", "-o", "description.d.ts")
	command(t, intro, work, filepath.Join(bin, "tsc"), "--strict", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext",
		"--skipLibCheck", "--types", "node", "typed.ts")
	if out := command(t, intro, work, "node", "typed.js"); !strings.Contains(out, "all as described") {
		t.Errorf("the typed program says %s", out)
	}
}
