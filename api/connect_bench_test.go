package api

import (
	"bufio"
	"net"
	"strings"
	"testing"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/eventlog"
)

// BenchmarkConnect opens a stream over the loopback, reads its first event and
// closes it: the client's part of the time is small.
func BenchmarkConnect(b *testing.B) {
	r := startRig(b, eventlog.MemoryOptions{}, false, func(c *Config) { c.Limits = policy.Largest() })
	key := r.issue(b, auth.Key{Kind: auth.Live, Merchant: "a"})
	address := r.http.Listener.Addr().String()
	request := []byte("GET /v1/stream?types=bench.*&subject=g/7 HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\nAuthorization: Bearer " + key + "\r\n\r\n")
	for b.Loop() {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		for lines := bufio.NewReader(conn); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				b.Fatal(err)
			}
			if strings.HasPrefix(line, "data: ") {
				break
			}
		}
		conn.Close()
	}
}
