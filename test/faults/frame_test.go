//go:build linux

package faults

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

// cutsAtOnce is how many connections T14 cuts at the same time.
const cutsAtOnce = 16

// T14. A connection is cut once after each byte. Its reader resumes at the last
// complete event: no event is lost, and no event is repeated.
func testCutFrame(t *testing.T, s *fixture) {
	tr := s.newTrial(t, setting{merchants: []string{s.pick()}})
	var positions []string
	for range 3 {
		f, body := tr.publisher.compose(tr.merchants[0], 0)
		tr.publisher.insist(f, body, 0)
		positions = append(positions, tr.publisher.attempts[len(tr.publisher.attempts)-1].Position)
	}
	tr.publishLast()
	length := tr.measure(positions[0], positions[2])
	t.Logf("a response is cut after each of its first %d bytes", length)

	cuts := make(chan int)
	var cutting sync.WaitGroup
	for range cutsAtOnce {
		via, proxy := tr.around(tr.instances[0])
		cutting.Go(func() {
			for n := range cuts {
				proxy.cutAfter(n)
				tr.readCut(n, positions[0], via)
			}
		})
	}
	for n := range length + 1 {
		cuts <- n
	}
	close(cuts)
	cutting.Wait()
	tr.finish()
}

// around returns an instance behind a new proxy.
func (tr *trial) around(to *instance) (*instance, *proxy) {
	tr.t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		tr.t.Fatal(err)
	}
	p := beginProxy(tr.t, l, func(ctx context.Context) (*net.TCPConn, error) { return to.dial(ctx, 0) })
	return &instance{in: new(netns), address: l.Addr().String()}, p
}

// readCut reads what follows a position over one connection that is cut after n
// bytes, and then over one that is not.
func (tr *trial) readCut(n int, position string, via *instance) {
	tr.mu.Lock()
	r := tr.newReader(tr.merchants[0], parts[0])
	tr.mu.Unlock()
	r.cursor, r.inQuery = position, n%2 == 1
	r.instances, r.turn = []*instance{via, tr.instances[n/2%2]}, 0
	ctx, cancel := context.WithTimeout(tr.readCtx, 15*time.Second)
	defer cancel()
	r.read(ctx)
	ends := 0
	for _, note := range r.all() {
		if note.What == noteEnded {
			ends++
		}
	}
	if ends != 2 {
		tr.t.Errorf("cut after %d bytes: %d connections, want 2", n, ends)
	}
}

// measure returns after how many bytes of a response the event at a position is
// whole.
func (tr *trial) measure(from, to string) int {
	tr.t.Helper()
	conn, err := tr.instances[0].dial(tr.ctx, 0)
	if err != nil {
		tr.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(answerLimit))
	r := reader{key: tr.fixture.keys[tr.merchants[0]], cursor: from}
	if _, err := conn.Write(r.request()); err != nil {
		tr.t.Fatal(err)
	}
	var all []byte
	for chunk := make([]byte, 4<<10); ; {
		n, err := conn.Read(chunk)
		all = append(all, chunk[:n]...)
		if _, rest, begun := bytes.Cut(all, []byte("id: "+to)); begun {
			if end := bytes.Index(rest, []byte("\n\n")); end >= 0 {
				return len(all) - len(rest) + end + 2
			}
		}
		if err != nil {
			tr.t.Fatalf("read up to %s: %v", to, err)
		}
	}
}
