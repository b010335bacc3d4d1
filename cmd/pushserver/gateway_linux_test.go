package main

import (
	"log/slog"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams"
)

func TestDeadPeersAreNoticedOverTLS(t *testing.T) {
	g, err := newGateway("127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	g.cert, g.key = "no such file", "no such file" // serving fails, and the listener has been made
	if err := g.open("127.0.0.1:0", streams.NewMemoryLog(streams.MemoryOptions{}), new(auth.MemoryStore), behaviour{}); err != nil {
		t.Fatal(err)
	}
	raw, err := g.public.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var timeout int
	if controlErr := raw.Control(func(fd uintptr) { timeout, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT) }); controlErr != nil || err != nil {
		t.Fatal(controlErr, err)
	}
	if timeout != 30_000 {
		t.Errorf("TCP_USER_TIMEOUT of the public listener is %d ms, want 30000", timeout)
	}
}
