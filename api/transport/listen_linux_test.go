package transport

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAcceptedConnectionsInheritWhatTheListenerHas(t *testing.T) {
	for name, tt := range map[string]struct {
		secure  bool
		timeout int // in ms
	}{
		"in the clear": {false, 0},
		"over TLS":     {true, 30_000},
	} {
		t.Run(name, func(t *testing.T) {
			config := ListenConfig(tt.secure)
			l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			client, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			// The kernel doubles the size, for its own needs.
			if got := option(t, conn, unix.SOL_SOCKET, unix.SO_SNDBUF); got != 2*sendBuffer {
				t.Errorf("SO_SNDBUF is %d, want %d", got, 2*sendBuffer)
			}
			if got := option(t, conn, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); got != tt.timeout {
				t.Errorf("TCP_USER_TIMEOUT is %d ms, want %d", got, tt.timeout)
			}
		})
	}
}

// option returns an option of a connection's socket.
func option(t *testing.T, conn net.Conn, level, name int) int {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var value int
	if controlErr := raw.Control(func(fd uintptr) { value, err = unix.GetsockoptInt(int(fd), level, name) }); controlErr != nil {
		t.Fatal(controlErr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return value
}
