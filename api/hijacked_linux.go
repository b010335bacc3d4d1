package api

import (
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/paylogic/pushserver/streams"
)

const (
	// sendBuffer caps what the kernel keeps for a client that does not read,
	// which is 4 MB otherwise.
	sendBuffer = 64 << 10

	// deadAfter is how long the client's machine may confirm nothing, although
	// there is something to confirm, before the connection counts as dead.
	// TCP_USER_TIMEOUT (RFC 5482) would also end slow clients, whose machine
	// keeps on answering that there is no room.
	deadAfter = 25 * time.Second

	// discardMax is how much input is thrown away in one go.
	discardMax = 256 << 10
)

// hijacked is the [streams.Writer] of a cleartext HTTP/1.1 connection that has
// left net/http behind: a descriptor, and no goroutine, buffer or timer.
type hijacked struct {
	poller     *poller
	sub        *streams.Subscription
	fd         int
	admission  admission // counts the connection; nil: nobody counts
	generation int32     // tells it from earlier connections with the same descriptor

	mu     sync.Mutex // held while the descriptor is used
	stream *connection
	closed bool
	acked  uint64 // bytes that the client's machine had confirmed when last asked
}

// hijack takes the connection over and starts sub on it, after more bytes. It reports false, having
// done nothing, where that is impossible.
func (s *Server) hijack(w http.ResponseWriter, r *http.Request, stream *connection, sub *streams.Subscription, more []byte) bool {
	if r.ProtoMajor != 1 || r.TLS != nil {
		return false
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return false
	}
	preface := append(head(w.Header()), more...)
	var counts admission
	if a, ok := conn.(*admitted); ok {
		conn, counts = a.handOver()
	}
	fd, err := duplicate(conn)
	conn.Close()
	if err != nil {
		sub.Close(err)
		stream.left()
		if counts != nil {
			counts.leave()
		}
		return true
	}
	c := &hijacked{poller: s.poller, sub: sub, fd: fd, stream: stream, admission: counts}
	if err := s.poller.add(c); err != nil {
		c.Close()
		sub.Close(err)
		return true
	}
	sub.Start(c, preface)
	return true
}

// duplicate returns a descriptor of the connection's own, set up for a stream.
// It does not block, as the one that it is a copy of does not.
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
		// Where this is refused the connection works without it.
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

// discard throws away what the client has sent: closing a socket with unread
// input resets the connection and destroys what is under way to the client.
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
			_ = c.poller.arm(c) // there may be more: be told again
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
	c.stream.left()
	if c.admission != nil {
		c.admission.leave()
	}
	return unix.Close(c.fd)
}
