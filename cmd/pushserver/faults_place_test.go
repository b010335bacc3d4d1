//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A place is a thread of its own on which processes are started, because the
// kernel ends a process when the thread that started it ends; and a network that
// they see, because a network belongs to a thread, too.
type place struct {
	calls chan func()
	apart bool // its network is not this machine's
}

// newPlace returns a place in this machine's network, until the test ends.
func newPlace(t *testing.T) *place {
	t.Helper()
	return enter(t, func() error { return nil })
}

// newNetwork returns a place in a network that has nothing but its own loopback
// device: from there nobody is reached except through a [proxy] that listens
// there and dials from elsewhere. This takes the rights of root.
func newNetwork(t *testing.T) *place {
	t.Helper()
	p := enter(t, func() error {
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
	p.apart = true
	return p
}

func enter(t *testing.T, prepare func() error) *place {
	t.Helper()
	p := &place{calls: make(chan func())}
	entered := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		entered <- prepare()
		for call := range p.calls {
			call()
		}
	}()
	t.Cleanup(func() { close(p.calls) })
	if err := <-entered; err != nil {
		t.Fatal(err)
	}
	return p
}

// do has f called on the place's thread and waits for it.
func (p *place) do(f func()) {
	done := make(chan struct{})
	p.calls <- func() {
		defer close(done)
		f()
	}
	<-done
}

// listen listens on an address of the place's network.
func (p *place) listen(address string) (l net.Listener, err error) {
	p.do(func() { l, err = net.Listen("tcp4", address) })
	return l, err
}

// dial connects to an address of the place's network, which is near: it is
// refused or made at once. receive is the size of the socket's buffer for what
// comes; 0 leaves that to the kernel.
func (p *place) dial(ctx context.Context, address string, receive int) (*net.TCPConn, error) {
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
	var err error
	dial := func() { conn, err = dialer.DialContext(ctx, "tcp4", address) }
	if p.apart {
		p.do(dial)
	} else {
		dial()
	}
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// freeAddresses returns addresses of the loopback device on which nobody
// listens, and which the kernel gives to no outgoing connection: a process that
// ends can come back to its own.
func freeAddresses(t *testing.T, n int) []string {
	t.Helper()
	const first, last = 10000, 12000 // below the ports of redistest's servers
	var addresses []string
	offset := rand.IntN(last - first)
	for i := 0; i < last-first && len(addresses) < n; i++ {
		address := fmt.Sprintf("127.0.0.1:%d", first+(offset+i)%(last-first))
		l, err := net.Listen("tcp4", address)
		if errors.Is(err, unix.EADDRINUSE) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // held until all are found, so that none is found twice
		addresses = append(addresses, address)
	}
	if len(addresses) < n {
		t.Fatalf("found %d of %d free ports", len(addresses), n)
	}
	return addresses
}
