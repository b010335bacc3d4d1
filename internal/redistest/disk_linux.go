package redistest

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// mount makes the disk at dir: a file system in memory that nobody sees but the
// node's servers, and that is gone with them and with this program.
//
// That takes the rights of root. Without them the size of each file is limited
// instead: what the server is told differs, what it does about it does not.
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

// resize gives the disk its new size. The server that uses it has this pid.
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

// limit has a server that was just started meet the end of its disk, if that is
// none of its own.
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

// Servers inherit this: at the limit of a file's size they are told, and not
// ended.
func init() { signal.Ignore(syscall.SIGXFSZ) }
