package transport

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// goneAfter is how long a client's machine may leave sent bytes unconfirmed over
// TLS before the kernel ends the connection.
const goneAfter = 30 * time.Second

// ListenConfig returns how to listen for clients of the public API. Connections
// inherit the options of the listening socket: a cap on what the kernel keeps for
// a client that does not read, and over TLS a limit for dead peers.
//
// Without TLS there is no TCP_USER_TIMEOUT, because it would end slow clients too.
// Cleartext streams tell slow from dead themselves, see deadAfter. Over TLS a slow
// client has no more than writeTimeout anyway.
func ListenConfig(secure bool) net.ListenConfig {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			// Connections also work without these options.
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
			if secure {
				_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(goneAfter.Milliseconds()))
			}
		})
	}}
	config.SetMultipathTCP(false) // a multipath socket has no TCP_USER_TIMEOUT
	return config
}
