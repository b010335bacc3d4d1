//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"
)

const (
	window       = 100   // connections that are being opened at a time
	acceptPace   = 5_000 // and opened in a second
	connectLimit = 2 * time.Minute
	sources      = 64 // addresses that we connect from, for each has no more than 28,000 ports
)

// A client holds all readers: one thread, one epoll set, and a few bytes
// per connection. It is not safe for concurrent use.
type client struct {
	poll   int
	events []syscall.EpollEvent
	in     []byte
	server *syscall.SockaddrInet4

	// coalesce is the pause between two rounds of reading. Without one the
	// reader is woken by nearly every write, which is charged to the server.
	coalesce time.Duration

	conns   []conn
	rest    map[int32][]byte // by connection: an answer's beginning, or a part of a marker
	lanes   int
	last    []uint32 // by connection and lane: the highest seq that was received
	opened  int      // connections that ever had the first event
	churn   bool     // close a connection once it is open
	refused error    // why a connection could not be had

	step    uint32
	arrived arrivals
}

type conn struct {
	fd    int32 // -1: closed
	group int32
	open  bool
}

// arrivals are what a client received in one step.
type arrivals struct {
	events, repeated, reordered, misrouted, closed int

	latency histogram
	last    time.Duration // when the last one came
}

func newClient(s *server, lanes int, coalesce time.Duration) (*client, error) {
	host, digits, err := net.SplitHostPort(s.addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(digits)
	if err != nil {
		return nil, err
	}
	poll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &client{
		poll: poll, events: make([]syscall.EpollEvent, 1024), in: make([]byte, 256<<10),
		server: &syscall.SockaddrInet4{Port: port, Addr: [4]byte(net.ParseIP(host).To4())},
		rest:   make(map[int32][]byte), lanes: lanes, coalesce: coalesce,
	}, nil
}

// close closes all connections.
func (c *client) close() {
	for i := range c.conns {
		c.hangUp(int32(i))
	}
	_ = syscall.Close(c.poll)
}

// open opens n streams, connection i of group i modulo groups, and returns when
// each has its first event. With churn it closes each right then.
func (c *client) open(ctx context.Context, s *server, n, groups int) error {
	c.last = append(c.last, make([]uint32, n*c.lanes)...)
	start, first, opened := time.Now(), len(c.conns), c.opened
	for c.opened < opened+n {
		begun := len(c.conns) - first
		paced := begun
		if !c.churn {
			paced = int(time.Since(start) * acceptPace / time.Second)
		}
		for begun < n && begun <= paced && begun < c.opened-opened+window {
			if err := c.dial(s.streamRequest(begun%groups, ""), begun%groups); err != nil {
				return err
			}
			begun++
		}
		if err := c.read(time.Millisecond); err != nil {
			return err
		}
		switch {
		case c.refused != nil:
			return fmt.Errorf("open stream %d of %d: %w", c.opened-opened+1, n, c.refused)
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Since(start) > connectLimit:
			return fmt.Errorf("only %d of %d streams opened in %s", c.opened-opened, n, connectLimit)
		}
	}
	return nil
}

// dial begins a connection and sends the request. Loopback connects at once,
// or refuses.
func (c *client) dial(request []byte, group int) error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	i := len(c.conns)
	c.conns = append(c.conns, conn{fd: int32(fd), group: int32(group)})
	const bindAddressNoPort = 24 // the port is chosen when the other end is known
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, bindAddressNoPort, 1)
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(1 + i%sources)}}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := syscall.Connect(fd, c.server); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		return err
	}
	if _, err := syscall.Write(fd, request); err != nil {
		return fmt.Errorf("request: %w", err)
	}
	return syscall.EpollCtl(c.poll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(i)})
}

func (c *client) hangUp(i int32) {
	if conn := &c.conns[i]; conn.fd >= 0 {
		_ = syscall.Close(int(conn.fd))
		conn.fd, conn.open = -1, false
		delete(c.rest, i)
	}
}

// begin forgets what was received, and counts the events of a new step.
func (c *client) begin() uint32 {
	c.step = nextStep()
	c.arrived = arrivals{}
	clear(c.last)
	return c.step
}

// read takes what has come, or waits for the given time.
func (c *client) read(wait time.Duration) error {
	n, err := syscall.EpollWait(c.poll, c.events, int(wait/time.Millisecond))
	if err != nil && !errors.Is(err, syscall.EINTR) {
		return fmt.Errorf("wait for events: %w", err)
	}
	for _, e := range c.events[:max(n, 0)] {
		c.receive(e.Fd)
	}
	if n > 0 && c.coalesce > 0 && !c.churn {
		time.Sleep(c.coalesce)
	}
	return nil
}

func (c *client) receive(i int32) {
	conn := &c.conns[i]
	if conn.fd < 0 {
		return // closed by an earlier event of this round
	}
	kept := copy(c.in, c.rest[i])
	n, err := syscall.Read(int(conn.fd), c.in[kept:])
	if n <= 0 {
		if err == syscall.EAGAIN || err == syscall.EINTR {
			return
		}
		if !conn.open {
			c.refused = errors.New("closed without an answer")
		}
		c.arrived.closed++
		c.hangUp(i)
		return
	}
	text := c.in[:kept+n]
	if !conn.open {
		c.answer(i, text)
		return
	}
	c.keep(i, c.count(i, text))
}

// keep puts b in front of the next input.
func (c *client) keep(i int32, b []byte) {
	if len(b) > 0 {
		c.rest[i] = append([]byte(nil), b...)
	} else if len(c.rest) > 0 {
		delete(c.rest, i)
	}
}

// answer reads the head of a response and the first event.
func (c *client) answer(i int32, text []byte) {
	const status = "HTTP/1.1 200"
	if len(text) >= len(status) && string(text[:len(status)]) != status {
		c.refused = fmt.Errorf("answered %.500q", text)
		c.hangUp(i)
		return
	}
	_, body, _ := bytes.Cut(text, []byte("\r\n\r\n"))
	_, body, whole := bytes.Cut(body, []byte("\n\n"))
	if !whole {
		c.keep(i, text)
		return
	}
	c.opened++
	if c.churn {
		c.hangUp(i)
		return
	}
	c.conns[i].open = true
	c.keep(i, c.count(i, body))
}

// count counts the events in text and returns the part of one at its end.
func (c *client) count(i int32, text []byte) []byte {
	now := time.Since(began)
	return scan(text, func(m marker) {
		a := &c.arrived
		if m.step != c.step {
			return
		}
		a.last = now
		if m.group != uint32(c.conns[i].group) {
			a.misrouted++
			return
		}
		last := &c.last[int(i)*c.lanes+int(m.lane)]
		switch {
		case m.seq > *last:
			*last = m.seq
			a.events++
			a.latency.add(now - m.sent)
		case m.seq == *last:
			a.repeated++
		default:
			a.reordered++
		}
	})
}
