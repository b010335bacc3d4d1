//go:build linux

package faults

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paylogic/pushserver/test/stand"
)

// A bug replaces one text of one source file by another. The file is named from
// the root of the module.
type bug struct{ file, text, by string }

// build builds the program with bugs. The source is not touched: the compiler reads
// other files in its place. The text of a bug must occur in its file exactly once.
func build(t *testing.T, bugs ...bug) stand.Program {
	t.Helper()
	dir := t.TempDir()
	replace := make(map[string]string)
	for i, b := range bugs {
		file, err := filepath.Abs(filepath.Join(stand.Root, b.file))
		if err != nil {
			t.Fatal(err)
		}
		was := file
		if changed, ok := replace[file]; ok {
			was = changed
		}
		source, err := os.ReadFile(was)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(source), b.text); n != 1 {
			t.Fatalf("%s has the text that the bug replaces %d times, want once: %s", b.file, n, b.text)
		}
		replace[file] = filepath.Join(dir, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(replace[file], []byte(strings.Replace(string(source), b.text, b.by, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlaid := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlaid, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	return stand.Build(t, "-overlay", overlaid)
}
