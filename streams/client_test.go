package streams

import (
	"bytes"
	"io"
	"sync"
	"testing"

	"github.com/paylogic/pushserver/streams/filter"
	"github.com/paylogic/pushserver/streams/sse"
)

// client is an in-memory connection with a limited buffer.
type client struct {
	sub *Subscription

	mu     sync.Mutex // guards the following
	room   int
	got    []byte
	closed bool
	lost   bool
}

func newClient(room int) *client { return &client{room: room} }

const plenty = 1 << 30

func (c *client) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, io.ErrClosedPipe
	}
	n := min(len(p), c.room)
	c.got = append(c.got, p[:n]...)
	c.room -= n
	return n, nil
}

func (c *client) Progress() bool { return false }

func (c *client) Lost() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost
}

func (c *client) Abort() {}

func (c *client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return nil
}

func (c *client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// size returns the number of bytes that arrived.
func (c *client) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.got)
}

// holds reports whether the client has received a text.
func (c *client) holds(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Contains(c.got, []byte(text))
}

// take makes room for n more bytes.
func (c *client) take(n int) {
	c.mu.Lock()
	c.room += n
	c.mu.Unlock()
	c.sub.Resume()
}

func (c *client) events(t *testing.T) []sse.Event {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	d := sse.NewDecoder(bytes.NewReader(c.got))
	var events []sse.Event
	for {
		e, err := d.Next()
		if err == io.EOF {
			return events
		}
		if err != nil {
			t.Fatalf("decode %q: %v", c.got, err)
		}
		events = append(events, e)
	}
}

func (c *client) types(t *testing.T) []string {
	t.Helper()
	var types []string
	for _, e := range c.events(t) {
		types = append(types, e.Type)
	}
	return types
}

// ids returns the ids of the events, without control events.
func (c *client) ids(t *testing.T) []string {
	t.Helper()
	var ids []string
	for _, e := range c.events(t) {
		if !filter.MatchType([]string{"stream.*"}, e.Type) {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

func (c *client) text() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.got)
}
