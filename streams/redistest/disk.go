package redistest

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// A disk is where the data of one node lie, as small as its test wants it.
type disk struct {
	nursery *nursery // of the node alone: only what it starts sees the disk
	size    int64
	dir     string // where it is mounted
	limits  bool   // it is none: each file of the server is limited instead
}

func newDisk(size int64) *disk { return &disk{nursery: newNursery(), size: size} }

// ResizeDisk changes how much the disk of a node holds that was started with
// [Options.Disk]. One that holds more already is full. What a full disk kept from
// being written is written soon after there is room again.
func (n *Node) ResizeDisk(size int64) {
	if n.disk == nil {
		n.fatal(fmt.Errorf("redistest: %s has no disk of its own", n))
		return
	}
	n.disk.size = size
	if err := n.disk.resize(n.PID()); err != nil {
		n.fatal(fmt.Errorf("redistest: resize the disk of %s: %w", n, err))
	}
}

// Repair does for a killed node what its operator has to when it refuses to
// start: it cuts off its append-only file from the first command on that a full
// disk, or a kill in the middle of a write, has torn. A file that is whole stays
// as it is.
func (n *Node) Repair() {
	dir := n.dir
	if n.disk != nil {
		dir = n.data()
	}
	var said bytes.Buffer
	cmd := exec.Command("redis-check-aof", "--fix", filepath.Join(dir, "appendonlydir", "appendonly.aof.manifest"))
	cmd.Stdin = strings.NewReader("y\n")
	cmd.Stdout, cmd.Stderr = &said, &said
	err := n.nursery.start(cmd) // where the disk is seen
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		n.fatal(fmt.Errorf("redistest: repair the append-only file of %s: %w\n%s", n, err, &said))
	}
}
