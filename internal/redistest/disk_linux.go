package redistest

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// mount makes the disk at dir: a file system in memory that only the node's servers
// see. It disappears with them and with this program.
//
// A mount needs the rights of root. Without them, mount limits the size of each
// file instead. The server gets another error then, but handles it in the same way.
func (d *disk) mount(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if d.limits {
		return nil
	}
	err := d.reaper.Do(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return err
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return err
		}
		return unix.Mount("tmpfs", dir, "tmpfs", 0, d.capacity())
	})
	if errors.Is(err, unix.EPERM) {
		d.limits = true
		return nil
	}
	d.dir = dir
	return err
}

func (d *disk) capacity() string { return fmt.Sprintf("size=%d", d.size) }

// resize applies d.size. pid is that of the server.
func (d *disk) resize(pid int) error {
	if d.limits {
		return d.limit(pid)
	}
	return d.reaper.Do(func() error {
		var now unix.Statfs_t
		if err := unix.Statfs(d.dir, &now); err != nil {
			return err
		}
		d.size = max(d.size, int64(now.Blocks-now.Bfree)*now.Bsize)
		return unix.Mount("tmpfs", d.dir, "tmpfs", unix.MS_REMOUNT, d.capacity())
	})
}

// limit limits the file size of a server that was just started, unless it has a
// mounted disk.
func (d *disk) limit(pid int) error {
	if !d.limits {
		return nil
	}
	var was unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, nil, &was); err != nil {
		return err
	}
	return unix.Prlimit(pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: uint64(d.size), Max: was.Max}, nil)
}

// Servers inherit this: at the limit of a file's size they get an error instead of a
// fatal signal.
func init() { signal.Ignore(syscall.SIGXFSZ) }
