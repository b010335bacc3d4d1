package redistest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"runtime"
)

// A nursery starts servers so that they cannot outlive this program.
//
// The kernel is asked to kill a server when its parent dies (deathSignal), and
// by parent it means the operating-system thread that started it. Go ends
// threads as it likes, so a goroutine that owns one for as long as the servers
// may live starts them all.
type nursery struct{ calls chan call }

type call struct {
	f    func() error
	done chan error
}

func newNursery() *nursery {
	n := &nursery{calls: make(chan call)}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for c := range n.calls {
			c.done <- c.f()
		}
	}()
	return n
}

func (n *nursery) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = deathSignal()
	return n.do(cmd.Start)
}

// do calls f on the nursery's thread.
func (n *nursery) do(f func() error) error {
	c := call{f, make(chan error)}
	n.calls <- c
	return <-c.done
}

// close comes after the last start and ends what still runs.
func (n *nursery) close() { close(n.calls) }

func findServer() (string, error) {
	server, err := exec.LookPath("redis-server")
	if err != nil {
		return "", errNoServer
	}
	return server, nil
}

// freePorts returns ports of 127.0.0.1 that nobody listens on.
//
// They lie below the range from which kernels give ports to outgoing
// connections: otherwise a client that dials a killed node could be given the
// node's own port, connect to itself, and keep the node from coming back.
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
		defer l.Close() // held until all are found, so that none is found twice
		ports = append(ports, port)
	}
	return nil, fmt.Errorf("found only %d of %d free ports between %d and %d", len(ports), count, first, last)
}
