package api

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paylogic/pushserver/ratelimit"
)

// GuardOptions of [Guard].
type GuardOptions struct {
	Connections int            // at the same time; 0: any number
	PerAddress  int            // of them from one address, or one /64 of IPv6; 0: any number
	Trusted     []netip.Prefix // proxies, which speak for many: PerAddress is not for them
	Clear       bool           // connections speak HTTP/1.1 without TLS: who is refused is told so
}

// Guard returns a listener that holds no more connections than it may, so that
// descriptors are left for everything else. One connection more is accepted and
// closed, in the clear with an answer: nobody waits in vain, and nothing spins.
// Streams count until they end.
func Guard(l net.Listener, o GuardOptions) net.Listener {
	return &guarded{
		Listener: l, options: o,
		addresses: ratelimit.NewAddresses(ratelimit.AddressOptions{Connections: o.PerAddress, Trusted: o.Trusted}),
	}
}

type guarded struct {
	net.Listener
	options   GuardOptions
	addresses *ratelimit.Addresses
	open      atomic.Int64
	refusals  atomic.Int64 // under way
}

// Accept implements [net.Listener].
func (g *guarded) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		addr := ratelimit.ClientAddr(conn.RemoteAddr().String(), nil, nil)
		switch {
		case g.options.Connections > 0 && g.open.Load() >= int64(g.options.Connections):
			g.refuse(conn, "503 Service Unavailable", "This server has as many connections as it can hold.\n")
		case !g.addresses.Open(addr):
			g.refuse(conn, "429 Too Many Requests", "There are too many connections from your address.\n")
		default:
			g.open.Add(1)
			return &admitted{Conn: conn, guard: g, addr: addr}, nil
		}
	}
}

const (
	refusalsMost = 64          // that are told so at the same time
	refusalTime  = time.Second // that each may take to send a request, and to read the answer
)

// refuse closes a connection, after an answer to its request if there is time for
// that.
func (g *guarded) refuse(conn net.Conn, status, text string) {
	if !g.options.Clear || g.refusals.Add(1) > refusalsMost {
		if g.options.Clear {
			g.refusals.Add(-1)
		}
		conn.Close()
		return
	}
	go func() {
		defer g.refusals.Add(-1)
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(refusalTime)) // then all of the following fails at once
		var request [4 << 10]byte
		if _, err := conn.Read(request[:]); err != nil {
			return
		}
		_, err := io.WriteString(conn, "HTTP/1.1 "+status+"\r\nRetry-After: 5\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"+text)
		if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
			// Closed with input unread, the answer could be lost on its way.
			_ = tcp.CloseWrite()
			_, _ = io.Copy(io.Discard, io.LimitReader(conn, 1<<20))
		}
	}()
}

// An admission counts a connection until it leaves.
type admission interface{ leave() }

// leave ends the counting of one connection, whose address does not matter.
func (g *guarded) leave() { g.open.Add(-1) }

// An admitted connection counts until it is closed, or handed over.
type admitted struct {
	net.Conn
	guard *guarded
	addr  netip.Addr
	once  sync.Once
}

// Close implements [net.Conn].
func (a *admitted) Close() error {
	a.once.Do(a.leave)
	return a.Conn.Close()
}

// handOver returns the connection itself, and what counts it from now on. What
// there is for each stream is as small as can be.
func (a *admitted) handOver() (net.Conn, admission) {
	conn, guard := a.Conn, a.guard
	handed := false
	a.once.Do(func() { handed = true })
	switch {
	case !handed:
		return conn, nil // it was closed meanwhile
	case guard.options.PerAddress == 0:
		return conn, guard
	}
	return conn, &counted{guard, a.addr}
}

// leave ends the counting.
func (a *admitted) leave() { (&counted{a.guard, a.addr}).leave() }

// counted is what is left of a connection that was handed over.
type counted struct {
	guard *guarded
	addr  netip.Addr
}

func (c *counted) leave() {
	c.guard.open.Add(-1)
	c.guard.addresses.Close(c.addr)
}
