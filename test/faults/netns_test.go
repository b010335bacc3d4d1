//go:build linux

package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/paylogic/pushserver/internal/reaper"
)

// A netns starts processes in a network namespace, which in Linux belongs to a
// thread.
type netns struct {
	*reaper.Reaper
	isolated bool // it is not this machine's
}

// newThread returns a netns of this machine's network, until the test ends.
func newThread(t *testing.T) *netns {
	t.Helper()
	n := &netns{Reaper: reaper.New()}
	t.Cleanup(n.Close)
	return n
}

// newNetns returns a network that has only its own loopback device. From there
// nothing is reached except through a [proxy] that listens there and dials from
// elsewhere. This takes the rights of root.
func newNetns(t *testing.T) *netns {
	t.Helper()
	n := newThread(t)
	n.isolated = true
	err := n.Do(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network: %w", err)
		}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		loopback, err := unix.NewIfreq("lo")
		if err != nil {
			return err
		}
		loopback.SetUint16(unix.IFF_UP)
		return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, loopback)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// listen listens on an address of the network.
func (n *netns) listen(address string) (l net.Listener, err error) {
	err = n.Do(func() (err error) {
		l, err = net.Listen("tcp4", address)
		return err
	})
	return l, err
}

// dial connects to an address of the network. receive is the size of the
// socket's receive buffer; 0 leaves that to the kernel.
func (n *netns) dial(ctx context.Context, address string, receive int) (*net.TCPConn, error) {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	if receive > 0 {
		dialer.Control = func(_, _ string, raw syscall.RawConn) error {
			var err error
			return errors.Join(raw.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, receive)
			}), err)
		}
	}
	var conn net.Conn
	dial := func() (err error) {
		conn, err = dialer.DialContext(ctx, "tcp4", address)
		return err
	}
	err := dial
	if n.isolated {
		err = func() error { return n.Do(dial) }
	}
	if err := err(); err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}
