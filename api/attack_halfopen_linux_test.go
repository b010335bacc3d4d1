package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/paylogic/pushserver/auth"
)

// cut has everything that is sent to a connection be dropped before TCP sees it, as
// when the cable is cut: nothing is confirmed any more.
func cut(t testing.TB, conn net.Conn) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	program := unix.SockFprog{Len: 1, Filter: &unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	if controlErr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program)
	}); controlErr != nil || err != nil {
		t.Fatal(controlErr, err)
	}
}

func TestAttack75HalfOpenPeerFreesItsSlot(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	key := r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Limits: within(t, "streams=1,connects=600/m")})
	conn, err := net.Dial("tcp", r.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", key)
	if n, err := conn.Read(make([]byte, 4096)); err != nil || n == 0 {
		t.Fatal(n, err)
	}
	cut(t, conn)
	began := time.Now()
	if _, ok := r.tryWatch(t, key, ""); ok {
		t.Fatal("a second stream is served while the first one counts")
	}
	for {
		res, ok := r.tryWatch(t, key, "")
		if ok {
			res.Body.Close()
			break
		}
		if time.Since(began) > 60*time.Second { // 45 and what a busy machine adds
			t.Fatalf("after %s the slot is not free: %s", time.Since(began), r.do(t, "GET", "/v1/connections", key, "").body)
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.Logf("the slot is free after %s", time.Since(began).Round(100*time.Millisecond))
	r.alive(t)
}
