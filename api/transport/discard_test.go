package transport

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// refuse starts a server that refuses every request. It returns a function that
// sends the head of a request with a long body and reads the answer.
func refuse(t *testing.T, d *Discarder) func() net.Conn {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.Answer(w, r, func() {
			w.Header().Set("Content-Length", "3")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "no\n")
		})
	}))
	t.Cleanup(server.Close)
	return func() net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", 1<<40)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != http.StatusForbidden {
			t.Fatalf("the answer is %v, error %v", res, err)
		}
		return conn
	}
}

// write sends input until the server ends the connection, and returns its size.
func write(conn net.Conn) (sent int) {
	part := []byte(strings.Repeat(" ", 64<<10))
	for {
		n, err := conn.Write(part)
		sent += n
		if err != nil {
			return sent
		}
	}
}

func TestRefusedBodyIsReadForALimitedTime(t *testing.T) {
	defer func(limit time.Duration) { discardTime = limit }(discardTime)
	discardTime = 300 * time.Millisecond
	d := new(Discarder)
	conn := refuse(t, d)()
	began := time.Now()
	if _, err := io.Copy(io.Discard, conn); err != nil { // sends nothing
		t.Errorf("the connection ended with %v", err)
	}
	if took := time.Since(began); took < 200*time.Millisecond || took > 10*time.Second {
		t.Errorf("the connection ended after %v, want %v", took, discardTime)
	}
	if n := d.running.Load(); n != 0 {
		t.Errorf("%d bodies are being read, want none", n)
	}
}

func TestRefusedBodyIsReadUpToALimitedSize(t *testing.T) {
	sent := write(refuse(t, new(Discarder))())
	if sent < discardBodyMax || sent > 2*discardBodyMax {
		t.Errorf("the server took about %d bytes, want %d", sent, discardBodyMax)
	}
}

func TestRefusedBodiesReadAtTheSameTimeAreLimited(t *testing.T) {
	d := new(Discarder)
	d.running.Store(discardsMost)
	began := time.Now()
	conn := refuse(t, d)()
	_, _ = io.Copy(io.Discard, conn) // sends nothing
	if took := time.Since(began); took > discardTime/2 {
		t.Errorf("one connection too many ended after %v, want at once", took)
	}
	if n := d.running.Load(); n != discardsMost {
		t.Errorf("%d bodies count as being read, want %d", n, discardsMost)
	}
}
