package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/paylogic/pushserver/streams/sse"
)

var slowRate = flag.Int("slow-rate", 16<<10, "bytes a second that the slow reader takes")

// A slowConn is read at a few bytes a second.
type slowConn struct {
	net.Conn
	rate int
}

func (c slowConn) Read(p []byte) (int, error) {
	const pause = 50 * time.Millisecond
	n, err := c.Conn.Read(p[:min(len(p), c.rate/int(time.Second/pause))])
	time.Sleep(pause)
	return n, err
}

func TestSlowReaderGetsTheNewestOfEachSubjectAndAllPayments(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })
	}}
	conn, err := dialer.Dial("tcp", r.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", r.a)

	const changes, subjects, payments = 10_000, 20, 50
	before := heap()
	go func() {
		for n := range changes {
			r.append(t, fmt.Sprint("s", n), "seat.status", fmt.Sprint("seat/", n%subjects), n)
			if n%(changes/payments) == 0 {
				r.append(t, fmt.Sprint("p", n), "payment.succeeded", fmt.Sprint("order/", n), n)
			}
		}
	}()

	began := time.Now()
	_, body, ok := strings.Cut(readSome(t, conn, "\r\n\r\n"), "\r\n\r\n")
	if !ok {
		t.Fatal("there was no head")
	}
	decoder := sse.NewDecoder(io.MultiReader(strings.NewReader(body), slowConn{conn, *slowRate}))
	newest, paid, events := make(map[string]int), 0, 0
	for settled := 0; settled < subjects || paid < payments; {
		e, err := decoder.Next()
		if err != nil {
			t.Fatalf("after %d events, %d subjects and %d payments: %v", events, settled, paid, err)
		}
		events++
		var event struct {
			Subject string
			Data    int
		}
		if strings.HasPrefix(e.Type, "stream.") || json.Unmarshal([]byte(e.Data), &event) != nil {
			continue
		}
		if e.Type == "payment.succeeded" {
			paid++
			continue
		}
		if was, ok := newest[event.Subject]; ok && event.Data <= was {
			t.Fatalf("%s showed %d after %d", event.Subject, event.Data, was)
		}
		if newest[event.Subject] = event.Data; event.Data >= changes-subjects {
			settled++
		}
	}
	t.Logf("%d of %d events in %s, the heap grew by %d KiB with the log in it", events, changes+payments, time.Since(began).Round(time.Second), (heap()-before)>>10)
	if events > changes/2 {
		t.Errorf("the reader got %d events: it was not slow, or nothing was skipped", events)
	}
}

func (r *rig) append(t testing.TB, id, typ, subject string, n int) {
	_, err := r.log.Append(t.Context(), "a", []eventlog.Event{{
		ID: id, Source: "/test", Type: typ, Subject: subject, Merchant: "a",
		Data: fmt.Append(nil, n), State: typ == "seat.status",
	}})
	if err != nil && t.Context().Err() == nil {
		t.Error(err)
	}
}

// readSome reads until the text has a part.
func readSome(t *testing.T, conn net.Conn, part string) string {
	t.Helper()
	var text strings.Builder
	buf := make([]byte, 256)
	for !strings.Contains(text.String(), part) {
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(buf[:n])
	}
	return text.String()
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
