package redistest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
)

func findServer() (string, error) {
	server, err := exec.LookPath("redis-server")
	if err != nil {
		return "", errNoServer
	}
	return server, nil
}

// freePorts returns unused ports of 127.0.0.1.
//
// They lie below the range that kernels use for outgoing connections. Otherwise a
// client that dials a killed node could get the node's own port, connect to itself
// and keep the node from coming back.
func freePorts(count int) ([]int, error) {
	const first, last = 12000, 32000
	var ports []int
	for range 50 * count {
		if len(ports) == count {
			return ports, nil
		}
		port := first + rand.IntN(last-first)
		l, err := net.Listen("tcp4", fmt.Sprintf("%s:%d", host, port))
		if err != nil {
			continue
		}
		defer l.Close() // held until the end, so that no port is found twice
		ports = append(ports, port)
	}
	return nil, fmt.Errorf("found only %d of %d free ports between %d and %d", len(ports), count, first, last)
}
