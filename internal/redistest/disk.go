package redistest

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/paylogic/pushserver/internal/reaper"
)

// A disk holds the data of one node and can be as small as a test needs.
type disk struct {
	reaper *reaper.Reaper // of this node alone: only its processes see the disk
	size   int64
	dir    string // where it is mounted
	limits bool   // no mount: the size of each of the server's files is limited instead
}

func newDisk(size int64) *disk { return &disk{reaper: reaper.New(), size: size} }

// ResizeDisk changes the size in bytes of the disk of a node that was started with
// [Options.Disk]. A disk that already holds more is full. The server repeats a
// failed write soon after there is room again.
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

// Wipe deletes the data of a killed node, as an operator does when the node refuses
// to start because a full disk tore its append-only file in the middle. Restarted,
// the node copies everything from the replica that was promoted meanwhile. Without
// a replica, the data is lost.
func (n *Node) Wipe() {
	dir := n.dir
	if n.disk != nil {
		dir = n.data()
	}
	cmd := exec.Command("rm", "-rf", filepath.Join(dir, "appendonlydir"), filepath.Join(dir, "dump.rdb"))
	var said bytes.Buffer
	cmd.Stderr = &said
	err := n.reaper.Start(cmd) // in the mount namespace of the disk
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		n.fatal(fmt.Errorf("redistest: wipe the disk of %s: %w\n%s", n, err, &said))
	}
}
