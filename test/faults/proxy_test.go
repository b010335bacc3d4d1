//go:build linux

package faults

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

// A proxy passes connections on to where dial leads, and can damage them.
type proxy struct {
	listener net.Listener
	dial     func(context.Context) (*net.TCPConn, error)
	over     context.Context // done when the test is

	mu      sync.Mutex // guards the following
	links   map[*link]bool
	open    chan struct{} // closed while bytes pass
	refuses bool
	delay   time.Duration // of what comes back
	most    int           // bytes that come back on a connection before it is cut; negative: all
}

// A link is one connection through a proxy.
type link struct {
	client, server *net.TCPConn
	once           sync.Once
	cut            chan struct{} // closed when the link is
}

func (l *link) close() {
	l.once.Do(func() {
		close(l.cut)
		l.client.Close()
		l.server.Close()
	})
}

// beginProxy passes on what comes to a listener, until the test ends.
func beginProxy(t *testing.T, l net.Listener, dial func(context.Context) (*net.TCPConn, error)) *proxy {
	ctx, cancel := context.WithCancel(context.Background())
	p := &proxy{listener: l, dial: dial, over: ctx, links: make(map[*link]bool), open: make(chan struct{}), most: -1}
	close(p.open)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.pass(conn.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		cancel()
		l.Close()
		p.cut()
		running.Wait()
	})
	return p
}

// pass serves one connection.
func (p *proxy) pass(client *net.TCPConn) {
	p.mu.Lock()
	refuses := p.refuses
	p.mu.Unlock()
	server, err := p.dial(p.over)
	if err != nil || refuses {
		client.Close()
		if err == nil {
			server.Close()
		}
		return
	}
	l := &link{client: client, server: server, cut: make(chan struct{})}
	defer l.close()
	p.mu.Lock()
	p.links[l] = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.links, l)
	}()
	if p.over.Err() != nil {
		return // cut may have missed this link
	}
	var both sync.WaitGroup
	both.Go(func() {
		defer l.close()
		p.pump(l, client, server, false)
	})
	both.Go(func() {
		defer l.close()
		p.pump(l, server, client, true)
	})
	both.Wait()
}

// pump passes one direction on. back says that it is that of the answers.
func (p *proxy) pump(l *link, from, to *net.TCPConn, back bool) {
	chunk := make([]byte, 32<<10)
	for passed := 0; ; {
		n, err := from.Read(chunk)
		if err != nil {
			return
		}
		read := time.Now()
		p.mu.Lock()
		open, delay, most := p.open, p.delay, p.most
		p.mu.Unlock()
		select {
		case <-open:
		case <-l.cut:
			return
		}
		piece := chunk[:n]
		if back && delay > 0 {
			late := time.NewTimer(time.Until(read.Add(delay)))
			select {
			case <-late.C:
			case <-l.cut:
				late.Stop()
				return
			}
		}
		last := back && most >= 0 && passed+n >= most
		if last {
			piece = piece[:most-passed]
		}
		if _, err := to.Write(piece); err != nil || last {
			return
		}
		passed += n
	}
}

// silence lets no byte pass, and keeps all connections, until heal.
func (p *proxy) silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = make(chan struct{})
}

// refuse cuts all connections and accepts no new ones until heal.
func (p *proxy) refuse() {
	p.mu.Lock()
	p.refuses = true
	p.mu.Unlock()
	p.cut()
}

// late has each answer come so much later, until heal.
func (p *proxy) late(by time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = by
}

// cutAfter cuts each connection from now on after so many bytes that come back.
func (p *proxy) cutAfter(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.most = n
}

// heal passes everything on again, late as it may be.
func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses, p.delay, p.most = false, 0, -1
	select {
	case <-p.open:
	default:
		close(p.open)
	}
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.close()
	}
}
