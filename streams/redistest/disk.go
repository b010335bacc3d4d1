package redistest

import "fmt"

// A disk is where the data of one node lie, as small as its test
// wants it.
type disk struct {
	nursery *nursery // of the node alone: only what it starts sees the disk
	size    int64
	dir     string // where it is mounted
	limits  bool   // it is none: each file of the server is limited instead
}

func newDisk(size int64) *disk { return &disk{nursery: newNursery(), size: size} }

// ResizeDisk changes how much the disk of a node holds that was started with
// [Options.Disk]. One that holds more already is full. What a full disk kept from being written is written soon
// after there is room again.
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
