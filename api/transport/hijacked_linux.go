package transport

import (
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/paylogic/pushserver/streams"
)

const (
	// sendBuffer caps what the kernel keeps for a client that does not read. The
	// kernel's own limit is 4 MB.
	sendBuffer = 64 << 10

	// deadAfter is how long a client's machine may leave sent bytes unconfirmed
	// before the connection counts as dead. TCP_USER_TIMEOUT (RFC 5482) would also
	// end slow clients, whose machine keeps answering that it has no room.
	deadAfter = 25 * time.Second

	// discardMax is how much input one call of discard reads.
	discardMax = 256 << 10
)

// hijacked is the [streams.Writer] of a cleartext HTTP/1.1 connection that has
// left net/http behind: a descriptor, and no goroutine, buffer or timer.
type hijacked struct {
	poller     *Poller
	sub        *streams.Subscription
	fd         int
	onClose    func()
	release    func() // ends the listener's count of the connection; nil: it is not counted
	generation int32  // tells the connection from earlier ones with the same descriptor

	mu     sync.Mutex // held while the descriptor is used
	closed bool
	acked  uint64 // bytes that the client's machine had confirmed at the last Progress
}

// hijack takes the connection over and starts sub on it, after the head and
// preface. It reports false, with nothing done, where that is impossible.
func (p *Poller) hijack(w http.ResponseWriter, r *http.Request, sub *streams.Subscription, preface []byte, onClose func()) bool {
	if r.ProtoMajor != 1 || r.TLS != nil {
		return false
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return false
	}
	first := append(head(w.Header()), preface...)
	var release func()
	if counted, ok := conn.(*countedConn); ok {
		conn, release = counted.handOver()
	}
	fd, err := duplicate(conn)
	conn.Close()
	if err != nil {
		sub.Close(err)
		onClose()
		if release != nil {
			release()
		}
		return true
	}
	c := &hijacked{poller: p, sub: sub, fd: fd, onClose: onClose, release: release}
	if err := p.add(c); err != nil {
		c.Close()
		sub.Close(err)
		return true
	}
	sub.Start(c, first)
	return true
}

// duplicate returns a second descriptor of the connection, set up for a stream.
// It does not block, since the original does not.
func duplicate(conn net.Conn) (int, error) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return 0, net.ErrClosed
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, err
	}
	fd := -1
	controlErr := raw.Control(func(original uintptr) {
		if fd, err = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0); err != nil {
			return
		}
		// The connection also works without the cap.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	})
	if controlErr != nil {
		return 0, controlErr
	}
	return fd, err
}

func (c *hijacked) event(events uint32) unix.EpollEvent {
	return unix.EpollEvent{Events: events, Fd: int32(c.fd), Pad: c.generation}
}

// Write implements [streams.Writer].
func (c *hijacked) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	n, err := unix.Write(c.fd, p)
	for err == unix.EINTR {
		n, err = unix.Write(c.fd, p)
	}
	switch {
	case err == unix.EAGAIN:
		n = 0
	case err != nil:
		return 0, err
	}
	if n < len(p) {
		return n, c.poller.arm(c)
	}
	return n, nil
}

// Progress implements [streams.Writer].
func (c *hijacked) Progress() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	info, err := unix.GetsockoptTCPInfo(c.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil || info.Bytes_acked == c.acked {
		return false
	}
	c.acked = info.Bytes_acked
	return true
}

// Lost implements [streams.Writer].
func (c *hijacked) Lost() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	info, err := unix.GetsockoptTCPInfo(c.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	return err == nil && info.Unacked > 0 && time.Duration(info.Last_ack_recv)*time.Millisecond > deadAfter
}

// Abort implements [streams.Writer]. Write does not wait.
func (c *hijacked) Abort() {}

// discard reads and drops the client's input. Closing a socket with unread input
// resets the connection and destroys what is still on its way to the client.
func (c *hijacked) discard(scratch []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for total := 0; !c.closed; {
		n, err := unix.Read(c.fd, scratch)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			return
		}
		if total += n; total >= discardMax {
			_ = c.poller.arm(c) // the poller reports the rest again
			return
		}
	}
}

// Close implements [streams.Writer].
func (c *hijacked) Close() error {
	var scratch [4096]byte
	c.discard(scratch[:])
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	c.poller.drop(c)
	c.onClose()
	if c.release != nil {
		c.release()
	}
	return unix.Close(c.fd)
}
