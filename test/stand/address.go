package stand

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"syscall"
	"testing"
)

// FreeAddresses returns addresses of the loopback device on which nothing
// listens. The kernel gives them to no outgoing connection, so that a process that
// ends can come back to its own.
func FreeAddresses(t testing.TB, n int) []string {
	t.Helper()
	const first, last = 10000, 12000 // below the ports of redistest's servers
	var addresses []string
	offset := rand.IntN(last - first)
	for i := 0; i < last-first && len(addresses) < n; i++ {
		address := fmt.Sprintf("127.0.0.1:%d", first+(offset+i)%(last-first))
		l, err := net.Listen("tcp4", address)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // held until all are found, so that none is found twice
		addresses = append(addresses, address)
	}
	if len(addresses) < n {
		t.Fatalf("found %d of %d free ports", len(addresses), n)
	}
	return addresses
}

// FreeAddress returns one of [FreeAddresses].
func FreeAddress(t testing.TB) string {
	t.Helper()
	return FreeAddresses(t, 1)[0]
}
