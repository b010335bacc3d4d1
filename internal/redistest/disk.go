package redistest

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/paylogic/pushserver/internal/reaper"
)

// A disk is where the data of one node lie, as small as its test wants it.
type disk struct {
	reaper *reaper.Reaper // of the node alone: only what it starts sees the disk
	size   int64
	dir    string // where it is mounted
	limits bool   // it is none: each file of the server is limited instead
}

func newDisk(size int64) *disk { return &disk{reaper: reaper.New(), size: size} }

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

// Wipe does for a killed node what its operator does when it refuses to start
// because a full disk has torn its append-only file in the middle: it deletes what
// the node stored. Restarted, the node takes everything from the replica that has
// been promoted meanwhile; without one, what it held is lost.
func (n *Node) Wipe() {
	dir := n.dir
	if n.disk != nil {
		dir = n.data()
	}
	cmd := exec.Command("rm", "-rf", filepath.Join(dir, "appendonlydir"), filepath.Join(dir, "dump.rdb"))
	var said bytes.Buffer
	cmd.Stderr = &said
	err := n.reaper.Start(cmd) // where the disk is seen
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		n.fatal(fmt.Errorf("redistest: wipe the disk of %s: %w\n%s", n, err, &said))
	}
}
