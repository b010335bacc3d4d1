package transport

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paylogic/pushserver/ratelimit"
)

// LimitOptions of [LimitListener]. The zero value limits nothing.
type LimitOptions struct {
	Connections int            // open at the same time; 0: any number
	PerAddress  int            // of these from one address, or one /64 of IPv6; 0: any number
	Trusted     []netip.Prefix // proxies, to which PerAddress does not apply
	Clear       bool           // connections speak HTTP/1.1 without TLS, so a refusal can be an answer
}

// LimitListener returns a listener that holds at most as many connections as its
// options allow, so that other parts of the program keep their descriptors. It
// accepts every further connection and closes it, after an answer if Clear is
// set. Clients therefore never wait in the kernel's queue, and the server never
// spins on a full descriptor table. A stream counts until it ends.
func LimitListener(l net.Listener, o LimitOptions) net.Listener {
	return &limitListener{
		Listener: l, options: o,
		addresses: ratelimit.NewAddresses(ratelimit.AddressOptions{Connections: o.PerAddress, Trusted: o.Trusted}),
	}
}

type limitListener struct {
	net.Listener
	options   LimitOptions
	addresses *ratelimit.Addresses
	open      atomic.Int64
	refusals  atomic.Int64 // being answered
}

// Accept implements [net.Listener].
func (l *limitListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		addr := ratelimit.ClientAddr(conn.RemoteAddr().String(), nil, nil)
		switch {
		case l.options.Connections > 0 && l.open.Load() >= int64(l.options.Connections):
			l.refuse(conn, "503 Service Unavailable", "This server holds as many connections as it can.\n")
		case !l.addresses.Open(addr):
			l.refuse(conn, "429 Too Many Requests", "There are too many connections from your address.\n")
		default:
			l.open.Add(1)
			return &countedConn{Conn: conn, listener: l, addr: addr}, nil
		}
	}
}

const (
	refusalsMost = 64          // answered at the same time; further connections are closed without an answer
	refusalTime  = time.Second // for a client to send a request and read the answer
)

// refuse closes a connection, after an answer if the client is quick.
func (l *limitListener) refuse(conn net.Conn, status, text string) {
	if !l.options.Clear || l.refusals.Add(1) > refusalsMost {
		if l.options.Clear {
			l.refusals.Add(-1)
		}
		conn.Close()
		return
	}
	go func() {
		defer l.refusals.Add(-1)
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(refusalTime)) // if this fails, so does the Read
		var request [4 << 10]byte
		if _, err := conn.Read(request[:]); err != nil {
			return
		}
		_, err := io.WriteString(conn, "HTTP/1.1 "+status+"\r\nRetry-After: 5\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"+text)
		if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
			// Closing with unread input could destroy the answer on its way.
			_ = tcp.CloseWrite()
			_, _ = io.Copy(io.Discard, io.LimitReader(conn, 1<<20))
		}
	}()
}

// A countedConn counts until it is closed or handed over.
type countedConn struct {
	net.Conn
	listener *limitListener
	addr     netip.Addr
	once     sync.Once
}

// Close implements [net.Conn].
func (c *countedConn) Close() error {
	c.once.Do(c.release)
	return c.Conn.Close()
}

func (c *countedConn) release() {
	c.listener.open.Add(-1)
	c.listener.addresses.Close(c.addr)
}

// handOver returns the connection itself and the function that ends its count,
// or nil if the count has ended.
func (c *countedConn) handOver() (net.Conn, func()) {
	var release func()
	c.once.Do(func() {
		l, addr := c.listener, c.addr // streams are many: keep as little as possible of each
		if l.options.PerAddress == 0 {
			release = func() { l.open.Add(-1) }
			return
		}
		release = func() {
			l.open.Add(-1)
			l.addresses.Close(addr)
		}
	})
	return c.Conn, release
}
