package redistest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNodeOnAFullDiskRefusesWritesUntilThereIsRoom(t *testing.T) {
	for _, limited := range []bool{false, true} {
		n := startOnDisk(t, 1<<20, limited)
		value := string(bytes.Repeat([]byte("x"), 100<<10))
		refused := func() bool {
			err := n.tell(t.Context(), "SET", "a", value)
			if err != nil && !strings.Contains(err.Error(), "MISCONF") {
				t.Fatal(err)
			}
			return err != nil
		}
		for i := 0; !refused(); i++ {
			if i == 100 {
				t.Fatalf("limited: %v: 10 MB went on a disk of 1 MB", limited)
			}
		}
		n.ResizeDisk(64 << 20)
		if err := await(t.Context(), func(context.Context) error {
			if refused() {
				return errors.New("refused")
			}
			return nil
		}); err != nil {
			t.Errorf("limited: %v: with room again: %v", limited, err)
		}
		n.Kill()
		n.Restart()
		if got := n.Do("GET", "a"); got != value {
			t.Errorf("limited: %v: after a restart the key has another value", limited)
		}
		n.Kill()
		n.tear(t)
		n.Wipe()
		n.Restart()
		if got := n.Do("GET", "a"); got != nil {
			t.Errorf("limited: %v: a wiped node holds the key", limited)
		}
	}
}

// startOnDisk returns a server of its own on a small disk, or on one that is
// none, as when the rights to mount are missing.
func startOnDisk(t *testing.T, size int64, limited bool) *Node {
	t.Helper()
	n := &Node{disk: newDisk(size), fatal: func(err error) { t.Fatal(err) }}
	n.reaper, n.disk.limits = n.disk.reaper, limited
	ports, err := freePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	n.port = ports[0]
	if n.server, err = findServer(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		n.Kill()
		n.reaper.Close()
	})
	if err := n.create(t.TempDir(), Options{}); err != nil {
		t.Fatal(err)
	}
	if err := n.awaitAnswer(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, n.logTail())
	}
	return n
}

// tear leaves in a killed node's append-only file what a write that was cut short
// can: something that begins no command, with commands behind it.
func (n *Node) tear(t *testing.T) {
	t.Helper()
	if !n.disk.limits {
		return // the file is out of this test's sight
	}
	names, err := filepath.Glob(filepath.Join(n.data(), "appendonlydir", "*.incr.aof"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no append-only file: %v", err)
	}
	f, err := os.OpenFile(names[len(names)-1], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("xxxxxxxx\r\n*1\r\n$4\r\nPING\r\n"); err != nil {
		t.Fatal(err)
	}
}
