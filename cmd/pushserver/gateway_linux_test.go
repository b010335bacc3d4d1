package main

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/paylogic/pushserver/api/transport"
)

func TestDeadPeersAreNoticedOverTLS(t *testing.T) {
	l, err := bind(transport.ListenConfig(true), "127.0.0.1:0", "--listen")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, err := l.(*net.TCPListener).SyscallConn()
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
