//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"
)

// What both references send, so that a delivery has about the bytes that
// pushserver writes.
const (
	opening     = "id: 0-0-QwdvI\nevent: stream.open\nretry: 3000\ndata: {\"connection\":\"con_JTQKLH5V44A7HWPE\",\"heartbeat_ms\":15000}\n\n"
	referenceID = "1795413581153-0-4AZiT"
)

// subjectOf returns the subject of an event of this benchmark.
func subjectOf(event []byte) []byte {
	_, rest, _ := bytes.Cut(event, []byte(`"subject":"`))
	subject, _, _ := bytes.Cut(rest, []byte(`"`))
	return subject
}

// bareCommand serves with one thread, one epoll set, and a write for each
// delivery: what remains when a server does nothing else.
type bareCommand struct{}

// Run serves until ctx is done.
func (*bareCommand) Run(ctx context.Context) error {
	runtime.LockOSThread()
	b, err := listenBare()
	if err != nil {
		return err
	}
	fmt.Println(b.address)
	for ctx.Err() == nil {
		if err := b.serve(); err != nil {
			return err
		}
	}
	return nil
}

type bareServer struct {
	address  string
	listener int
	poll     int
	events   []syscall.EpollEvent
	in       []byte

	subjects map[string][]int32
	streams  []string         // subject by descriptor; empty: none
	requests map[int32][]byte // parts of requests
	unsent   map[int32][]byte
}

func listenBare() (*bareServer, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, err
	}
	if err := syscall.Listen(fd, 4096); err != nil {
		return nil, err
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return nil, err
	}
	poll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	b := &bareServer{
		address:  fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port),
		listener: fd, poll: poll, events: make([]syscall.EpollEvent, 512), in: make([]byte, 64<<10),
		subjects: make(map[string][]int32), requests: make(map[int32][]byte), unsent: make(map[int32][]byte),
	}
	return b, b.watch(int32(fd), syscall.EPOLL_CTL_ADD, syscall.EPOLLIN)
}

func (b *bareServer) watch(fd int32, op int, events uint32) error {
	return syscall.EpollCtl(b.poll, op, int(fd), &syscall.EpollEvent{Events: events, Fd: fd})
}

// serve handles what is ready, or waits up to a second.
func (b *bareServer) serve() error {
	n, err := syscall.EpollWait(b.poll, b.events, 1000)
	if err != nil && !errors.Is(err, syscall.EINTR) {
		return err
	}
	for _, e := range b.events[:max(n, 0)] {
		switch {
		case int(e.Fd) == b.listener:
			b.accept()
		case e.Events&(syscall.EPOLLRDHUP|syscall.EPOLLHUP|syscall.EPOLLERR) != 0:
			b.close(e.Fd)
		case e.Events&syscall.EPOLLOUT != 0:
			b.write(e.Fd, nil)
		default:
			b.read(e.Fd)
		}
	}
	return nil
}

func (b *bareServer) accept() {
	for {
		fd, _, err := syscall.Accept4(b.listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		for fd >= len(b.streams) {
			b.streams = append(b.streams, "")
		}
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
		_ = b.watch(int32(fd), syscall.EPOLL_CTL_ADD, syscall.EPOLLIN|syscall.EPOLLRDHUP)
	}
}

func (b *bareServer) close(fd int32) {
	if subject := b.streams[fd]; subject != "" {
		members := b.subjects[subject]
		for i, other := range members {
			if other == fd {
				members[i] = members[len(members)-1]
				b.subjects[subject] = members[:len(members)-1]
				break
			}
		}
	}
	b.streams[fd] = ""
	delete(b.requests, fd)
	delete(b.unsent, fd)
	_ = syscall.Close(int(fd))
}

func (b *bareServer) read(fd int32) {
	n, err := syscall.Read(int(fd), b.in)
	if n <= 0 {
		if err != syscall.EAGAIN {
			b.close(fd)
		}
		return
	}
	request := append(b.requests[fd], b.in[:n]...)
	head, body, whole := bytes.Cut(request, []byte("\r\n\r\n"))
	if !whole {
		b.requests[fd] = request
		return
	}
	if bytes.HasPrefix(head, []byte("GET ")) {
		_, rest, _ := bytes.Cut(head, []byte("subject="))
		subject, _, _ := bytes.Cut(rest, []byte(" "))
		b.streams[fd] = string(subject)
		b.subjects[string(subject)] = append(b.subjects[string(subject)], fd)
		delete(b.requests, fd)
		b.write(fd, []byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n\r\n"+opening))
		return
	}
	_, rest, _ := bytes.Cut(head, []byte("Content-Length: "))
	digits, _, _ := bytes.Cut(rest, []byte("\r\n"))
	length, _ := strconv.Atoi(string(digits))
	if len(body) < length {
		b.requests[fd] = request
		return
	}
	b.publish(body[:length])
	b.requests[fd] = append(request[:0], body[length:]...)
	b.write(fd, []byte("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"))
}

func (b *bareServer) publish(event []byte) {
	text := append([]byte("id: "+referenceID+"\nevent: "+eventType+"\ndata: "), event...)
	text = append(text, "\n\n"...)
	// Backwards, because closing a stream moves a later one into its place.
	members := b.subjects[string(subjectOf(event))]
	for i := len(members) - 1; i >= 0; i-- {
		b.write(members[i], text)
	}
}

// mostUnsent is what a slow reader may leave unread before it is closed.
const mostUnsent = 4 << 20

// write sends what waits, and then text, as far as the socket takes it.
func (b *bareServer) write(fd int32, text []byte) {
	waiting, slow := b.unsent[fd]
	if slow {
		text = append(waiting, text...)
	}
	if len(text) > 0 {
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&text[0])), uintptr(len(text)))
		switch {
		case errno == 0:
			text = text[n:]
		case errno != syscall.EAGAIN:
			b.close(fd)
			return
		}
	}
	switch {
	case len(text) > mostUnsent:
		b.close(fd)
	case len(text) > 0:
		b.unsent[fd] = append([]byte(nil), text...)
		if !slow {
			_ = b.watch(fd, syscall.EPOLL_CTL_MOD, syscall.EPOLLIN|syscall.EPOLLOUT|syscall.EPOLLRDHUP)
		}
	case slow:
		delete(b.unsent, fd)
		_ = b.watch(fd, syscall.EPOLL_CTL_MOD, syscall.EPOLLIN|syscall.EPOLLRDHUP)
	}
}
