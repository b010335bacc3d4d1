package api

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// goneAfter is how long the machine of a client over TLS may leave what was sent
// to it unconfirmed, before the connection ends.
const goneAfter = 30 * time.Second

// ListenConfig returns how to listen for clients of the public API, whose
// connections inherit the options of the listening socket: what the kernel keeps
// for a client that does not read is capped, and over TLS dead peers are noticed.
//
// Without TLS there is no TCP_USER_TIMEOUT. It would end slow clients too, which
// a stream in the clear is patient with: see deadAfter, which tells the two
// apart. Over TLS a slow client has no more than writeTimeout anyway.
func ListenConfig(secure bool) net.ListenConfig {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			// Where one is refused, connections work without it.
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
			if secure {
				_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(goneAfter.Milliseconds()))
			}
		})
	}}
	config.SetMultipathTCP(false) // such a socket has no TCP_USER_TIMEOUT
	return config
}
