//go:build linux

package faults

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/paylogic/pushserver/internal/redistest"
)

const (
	// refusalLimit is how long a publish may take that cannot succeed.
	refusalLimit = 1500 * time.Millisecond
	// catchUpLimit is how long readers may take to catch up after a partition.
	catchUpLimit = 10 * time.Second
	// heartbeatLimit is how long a stream may be silent, with a heartbeat every
	// second.
	heartbeatLimit = 2500 * time.Millisecond
	// tailLength is more than a gateway keeps of a log in memory.
	tailLength = 1100
)

// A border is between one gateway, in a network of its own, and the nodes of
// Redis: it reaches each through a proxy at the node's own address.
type border struct {
	netns   *netns
	proxies map[*redistest.Node]*proxy
}

func newBorder(t *testing.T, c *redistest.Cluster) *border {
	t.Helper()
	b := &border{newNetns(t), make(map[*redistest.Node]*proxy)}
	outside := newThread(t)
	for _, node := range c.Nodes() {
		l, err := b.netns.listen(node.Addr())
		if err != nil {
			t.Fatal(err)
		}
		b.proxies[node] = beginProxy(t, l, func(ctx context.Context) (*net.TCPConn, error) { return outside.dial(ctx, node.Addr(), 0) })
	}
	return b
}

func (b *border) heal() {
	for _, p := range b.proxies {
		p.heal()
	}
}

// T8. A gateway that cannot reach Redis keeps its streams open with heartbeats and
// refuses publishes soon. It catches up when it reaches Redis again.
func testPartition(t *testing.T, s *fixture) {
	b := newBorder(t, s.cluster)
	tr := s.newTrial(t, setting{limit: 12 * time.Minute, networks: [2]*netns{b.netns}})
	tr.begin()
	for _, m := range tr.merchants {
		tr.preload(m, tailLength) // so that the gateway's memory of each log is full
	}
	_ = pause(tr.ctx, 20*time.Second)
	for _, p := range b.proxies { // the first outage costs memory that later ones do not
		p.refuse()
	}
	_ = pause(tr.ctx, 5*time.Second)
	b.heal()
	_ = pause(tr.ctx, catchUpLimit)
	for _, length := range []time.Duration{5 * time.Second, 45 * time.Second} {
		for _, from := range []string{"all", "masters", "one shard"} {
			away := s.nodes(from)
			silent := s.dice.IntN(2) == 0
			before := tr.monitor.peakOf(0).memory
			name := fmt.Sprintf("no way to %s, cut", from)
			if silent {
				name = fmt.Sprintf("no way to %s, silent", from)
			}
			tr.during(name, func() {
				for _, node := range away {
					if silent {
						b.proxies[node].silence()
					} else {
						b.proxies[node].refuse()
					}
				}
				_ = pause(tr.ctx, length)
				b.heal()
			})
			tr.checkPartition(tr.windows[len(tr.windows)-1])
			now := tr.monitor.peakOf(0).memory
			t.Logf("%s: the gateway had at most %d MB before, and %d MB after", name, before>>20, now>>20)
			if now > before*11/10 {
				t.Errorf("%s: memory grew by more than a tenth", name)
			}
			_ = pause(tr.ctx, catchUpLimit) // before the next
		}
	}
	tr.finish()
	for _, w := range tr.windows {
		if d := tr.catchUp(w, tr.final); d > catchUpLimit {
			t.Errorf("%s: a reader lacked events for another %v, want at most %v", w.name, d, catchUpLimit)
		}
	}
	for _, r := range tr.readers {
		if r.restless == nil && r.silence > heartbeatLimit {
			t.Errorf("%s heard nothing for %v, want a heartbeat every second", r.name, r.silence)
		}
	}
}

// nodes returns a part of the cluster.
func (s *fixture) nodes(which string) []*redistest.Node {
	all := s.cluster.Nodes()
	switch which {
	case "masters":
		return slices.DeleteFunc(all, func(n *redistest.Node) bool {
			role, _ := n.Do("ROLE").([]any)
			return role[0] != "master"
		})
	case "one shard":
		master, _ := s.shard(s.pick())
		return []*redistest.Node{master, s.cluster.Replica(master)}
	}
	return all
}

// checkPartition checks what the gateway behind the border did during a partition.
func (tr *trial) checkPartition(w window) {
	tr.t.Helper()
	l := tr.publisher.ledger
	l.mu.Lock()
	slowest, refused := time.Duration(0), 0
	for _, a := range l.attempts {
		if a.Instance != 0 || a.Began.Before(w.from) || a.Ended.After(w.healed) {
			continue
		}
		slowest = max(slowest, a.Ended.Sub(a.Began))
		switch {
		case a.Status == http.StatusServiceUnavailable:
			refused++
		case !a.accepted():
			tr.t.Errorf("%s: %s was answered with %d %s", w.name, a.ID, a.Status, a.Answer)
		}
	}
	l.mu.Unlock()
	tr.t.Logf("%s: %d publishes were refused, each attempt took at most %d ms", w.name, refused, slowest.Milliseconds())
	if slowest > refusalLimit || refused == 0 {
		tr.t.Errorf("%s: a publish took %v, want at most %v; %d were refused, want some", w.name, slowest, refusalLimit, refused)
	}
	lagging := 0
	for _, r := range tr.readers {
		if r.restless != nil {
			continue
		}
		for _, n := range r.all() {
			if n.Type == "stream.lag" && n.Instance == 0 && n.At.After(w.from) {
				lagging++
			}
			if n.What == noteEnded && n.At.After(w.from) {
				tr.t.Errorf("%s: a stream of gateway %d ended: %s", w.name, n.Instance, n.Text)
			}
		}
	}
	if lagging == 0 {
		tr.t.Errorf("%s: no reader was told that events are late", w.name)
	}
}
