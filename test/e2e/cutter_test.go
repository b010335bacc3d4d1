package e2e

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// A cutter is a proxy for TCP that cuts connections on demand.
type cutter struct {
	listener net.Listener
	target   string
	running  sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]bool // nil while cut
}

// beginCutter forwards to the server at url until the test ends.
func beginCutter(t *testing.T, url string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listener: l, target: strings.TrimPrefix(url, "http://"), open: make(map[net.Conn]bool)}
	c.running.Go(c.accept)
	t.Cleanup(func() {
		l.Close()
		c.cut()
		c.running.Wait()
	})
	return c
}

func (c *cutter) address() string { return c.listener.Addr().String() }

// cut ends all connections, and every new one, until restore.
func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.open {
		conn.Close()
	}
	c.open = nil
}

// restore lets connections through again.
func (c *cutter) restore() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = make(map[net.Conn]bool)
}

func (c *cutter) accept() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.running.Go(func() { c.forward(client) })
	}
}

func (c *cutter) forward(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", c.target)
	if err != nil {
		return
	}
	defer server.Close()
	if !c.add(client, server) {
		return
	}
	defer c.remove(client, server)
	var both sync.WaitGroup
	pass := func(to, from net.Conn) {
		io.Copy(to, from)
		to.Close()
		from.Close()
	}
	both.Go(func() { pass(server, client) })
	both.Go(func() { pass(client, server) })
	both.Wait()
}

func (c *cutter) add(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		return false
	}
	for _, conn := range conns {
		c.open[conn] = true
	}
	return true
}

func (c *cutter) remove(conns ...net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		delete(c.open, conn)
	}
}
