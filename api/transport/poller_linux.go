package transport

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/paylogic/pushserver/streams"
)

// A Poller watches the connections that it took over: one goroutine and one epoll
// set for all of them. It learns when a client has left, when it can take more,
// and when it has sent something, which the poller drops.
type Poller struct {
	epoll int
	wake  int // an eventfd that ends the goroutine
	done  chan struct{}

	mu    sync.Mutex  // guards the following
	conns []*hijacked // by descriptor
	last  int32       // generation
}

// NewPoller returns a poller with its goroutine running. It fails if the system
// has no descriptor left.
func NewPoller() (*Poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epoll)
		return nil, err
	}
	p := &Poller{epoll: epoll, wake: wake, done: make(chan struct{})}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(wake)}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, &event); err != nil {
		unix.Close(wake)
		unix.Close(epoll)
		return nil, err
	}
	go p.run()
	return p, nil
}

// Close ends the poller. Its connections must have been closed before.
func (p *Poller) Close() error {
	_, err := unix.Write(p.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	if err != nil {
		return err
	}
	<-p.done
	return errors.Join(unix.Close(p.wake), unix.Close(p.epoll))
}

const (
	watched  = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET
	finished = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
)

func (p *Poller) add(c *hijacked) error {
	p.mu.Lock()
	for len(p.conns) <= c.fd {
		p.conns = append(p.conns, make([]*hijacked, len(p.conns)+64)...)
	}
	p.last++
	c.generation = p.last
	p.conns[c.fd] = c
	p.mu.Unlock()
	event := c.event(watched)
	return unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, c.fd, &event)
}

// arm makes the poller resume c once its client can take more.
func (p *Poller) arm(c *hijacked) error {
	event := c.event(watched | unix.EPOLLOUT)
	return unix.EpollCtl(p.epoll, unix.EPOLL_CTL_MOD, c.fd, &event)
}

// drop forgets c. Closing its descriptor takes it out of the epoll set.
func (p *Poller) drop(c *hijacked) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c.fd] = nil
}

func (p *Poller) run() {
	defer close(p.done)
	events := make([]unix.EpollEvent, 256)
	scratch := make([]byte, 16<<10)
	for {
		n, err := unix.EpollWait(p.epoll, events, -1)
		if err != nil && err != unix.EINTR {
			panic("transport: wait for connections: " + err.Error()) // no other code closes the set
		}
		for _, event := range events[:max(n, 0)] {
			if event.Fd == int32(p.wake) {
				return
			}
			p.handle(event, scratch)
		}
	}
}

func (p *Poller) handle(event unix.EpollEvent, scratch []byte) {
	p.mu.Lock()
	c := p.conns[event.Fd]
	p.mu.Unlock()
	if c == nil || c.generation != event.Pad {
		return // the descriptor belongs to another connection by now
	}
	if event.Events&unix.EPOLLIN != 0 {
		c.discard(scratch)
	}
	switch {
	case event.Events&finished != 0:
		c.sub.Close(streams.ErrGone)
	case event.Events&unix.EPOLLOUT != 0:
		c.sub.Resume()
	}
}
