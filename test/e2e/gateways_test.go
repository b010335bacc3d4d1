package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylogic/pushserver/api/keys"
	"github.com/paylogic/pushserver/internal/redistest"
	"github.com/paylogic/pushserver/ratelimit"
	"github.com/paylogic/pushserver/test/stand"
)

// leaseLimit is how long the places of a dead gateway stay taken. A busy machine gets
// three seconds more.
const leaseLimit = 30*time.Second + 3*time.Second

// A pair is two gateways over one cluster.
type pair struct {
	cluster *redistest.Cluster
	redis   []string // flags that say where it is
	gates   [2]*stand.Process
}

// startPair starts two gateways over a cluster. Tests that share one use merchants
// of their own.
func startPair(t *testing.T, c *redistest.Cluster) *pair {
	t.Helper()
	p := &pair{cluster: c}
	p.redis = []string{"--redis", strings.Join(p.cluster.Addrs(), ",")}
	for i := range p.gates {
		p.gates[i] = stand.Serve(t, append([]string{"--heartbeat", "1s"}, p.redis...)...)
	}
	return p
}

// key makes a key, and returns it with its secret.
func (p *pair) key(t *testing.T, args ...string) keys.View {
	t.Helper()
	return p.keys(t, append([]string{"create", "--json"}, args...)...)
}

// keys runs a command of keys that prints a key.
func (p *pair) keys(t *testing.T, args ...string) (v keys.View) {
	t.Helper()
	code, out, errs := stand.Run(t, "", append(append([]string{"keys"}, args...), p.redis...)...)
	if code != 0 {
		t.Fatalf("keys %v said %q", args, errs)
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("keys %v printed %q: %v", args, out, err)
	}
	return v
}

// tryStream opens a stream, or returns the status that refuses it. The end of the
// test closes it.
func (p *pair) tryStream(t *testing.T, gate int, secret, query string) (*stand.Stream, int) {
	t.Helper()
	return stand.TryStream(t.Context(), t, p.gates[gate].URL+"/v1/stream"+query, secret, "")
}

// awaitStream opens a stream as soon as there is a place for it, and returns how
// long that took.
func (p *pair) awaitStream(t *testing.T, gate int, secret string, limit time.Duration) (*stand.Stream, time.Duration) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		if s, status := p.tryStream(t, gate, secret, ""); status == http.StatusOK {
			return s, time.Since(began)
		}
		if time.Since(began) > limit {
			t.Fatalf("there was no place for a stream within %s", limit)
		}
	}
}

// endings returns the streams that their server ends. It discards their events.
func endings(all []*stand.Stream) <-chan *stand.Stream {
	ended := make(chan *stand.Stream, len(all))
	for _, s := range all {
		go func() {
			if _, err := io.Copy(io.Discard, s.Response.Body); err == nil {
				ended <- s
			}
		}()
	}
	return ended
}

func TestLimitOfStreamsHoldsOverGateways(t *testing.T) {
	t.Parallel()
	p := startPair(t, redistest.Shared(t))
	key := p.key(t, "--kind", "live", "--merchant", "limited", "--limits", "streams=5,connects=60000/m,requests=600000/m")
	var mu sync.Mutex
	var open [2][]*stand.Stream
	var connecting sync.WaitGroup
	for i := range 20 {
		connecting.Go(func() {
			s, status := p.tryStream(t, i%2, key.Key, "")
			mu.Lock()
			defer mu.Unlock()
			switch status {
			case http.StatusOK:
				open[i%2] = append(open[i%2], s)
			case http.StatusTooManyRequests:
			default:
				t.Errorf("a connect was answered with %d", status)
			}
		})
	}
	connecting.Wait()
	// If the machine is too busy for Redis to answer, a gateway decides alone. The next
	// renewals end the surplus.
	if n := len(open[0]) + len(open[1]); n > 5 {
		t.Logf("%d were let in", n)
		over := endings(slices.Concat(open[:]...))
		for ; n > 5; n-- {
			select {
			case ended := <-over:
				for i := range open {
					open[i] = slices.DeleteFunc(open[i], func(s *stand.Stream) bool { return s == ended })
				}
			case <-time.After(leaseLimit): // it may need a renewal of its leases, too
				t.Fatalf("of 20 connects at once %d stand, with a limit of 5", n)
			}
		}
	}
	// The gateways may have refused too many. Fill up to the limit.
	for len(open[0])+len(open[1]) < 5 {
		t.Logf("%d and %d stand", len(open[0]), len(open[1]))
		res, _ := p.awaitStream(t, 0, key.Key, leaseLimit)
		open[0] = append(open[0], res)
	}
	for i := range open {
		if len(open[i]) == 0 { // all are on the other gateway: move one here
			open[1-i][0].Close()
			open[1-i] = open[1-i][1:]
			res, _ := p.awaitStream(t, i, key.Key, leaseLimit)
			open[i] = append(open[i], res)
		}
	}

	open[0][0].Close()
	open[0] = open[0][1:]
	sixth, took := p.awaitStream(t, 1, key.Key, time.Second)
	t.Logf("the sixth stood %s after one had ended", took)
	open[1] = append(open[1], sixth)

	p.gates[0].Kill()
	if len(open[0]) == 0 { // the killed gateway had no stream
		if _, status := p.tryStream(t, 1, key.Key, ""); status != http.StatusTooManyRequests {
			t.Errorf("beside five on the surviving gateway a sixth got %d", status)
		}
		return
	}
	_, took = p.awaitStream(t, 1, key.Key, leaseLimit)
	t.Logf("a place was free %s after kill -9", took)
}

var runs = flag.Int("runs", 2, "how often TestTwoRenewalsLeaveTheLimitOfStreams connects 20 streams")

// Of 20 connects at once to two gateways exactly the limit remains after two
// renewals. In every second run Redis is away meanwhile, with all places of the limit
// taken.
func TestTwoRenewalsLeaveTheLimitOfStreams(t *testing.T) {
	t.Parallel()
	const limit, connects = 5, 20
	p := startPair(t, redistest.Start(t))
	for run := range *runs {
		merchant := fmt.Sprintf("run-%d", run)
		key := p.key(t, "--kind", "live", "--merchant", merchant, "--limits", "streams=5,connects=60000/m,requests=600000/m").Key
		var open atomic.Int64
		admitted := func(s *stand.Stream) {
			open.Add(1)
			go func() {
				_, _ = io.Copy(io.Discard, s.Response.Body)
				open.Add(-1)
			}()
		}
		away := run%2 == 1
		if away {
			for i := range limit { // one on gate 1, which then knows the key
				s, _ := p.awaitStream(t, i/(limit-1), key, leaseLimit)
				admitted(s)
			}
			for _, n := range p.cluster.Nodes() {
				n.Pause()
			}
		}
		var connecting sync.WaitGroup
		for i := range connects {
			connecting.Go(func() {
				if s, status := p.tryStream(t, i%2, key, ""); status == http.StatusOK {
					admitted(s)
				}
			})
		}
		connecting.Wait()
		let := open.Load()
		if away {
			for _, n := range p.cluster.Nodes() {
				n.Resume()
			}
			if let <= limit {
				t.Errorf("run %d: while Redis was away %d streams were open, want more than %d", run, let, limit)
			}
		}
		for let < limit { // a busy gateway may have refused too many
			s, _ := p.awaitStream(t, 0, key, leaseLimit)
			admitted(s)
			let++
		}
		began, fewest := time.Now(), let
		for time.Since(began) < 2*ratelimit.RenewEvery+3*time.Second && open.Load() > limit {
			time.Sleep(10 * time.Millisecond)
		}
		took := time.Since(began)
		for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			fewest = min(fewest, open.Load())
		}
		t.Logf("run %d: %d were open, %d remain after %s", run, let, open.Load(), took.Round(time.Millisecond))
		if open.Load() != limit || fewest != limit {
			t.Errorf("run %d: %d streams remain after two renewals, and %d at the fewest, want %d", run, open.Load(), fewest, limit)
		}
	}
}

// A stream that was admitted while Redis was away stays if the limit has room for it.
func TestLimitOfStreamsHoldsAgainOnceRedisAnswers(t *testing.T) {
	t.Parallel()
	p := startPair(t, redistest.Start(t))
	key := p.key(t, "--kind", "live", "--merchant", "acme", "--limits", "streams=4,connects=60000/m,requests=600000/m")
	var within []*stand.Stream
	for _, gate := range []int{0, 0, 0, 1} {
		s, _ := p.awaitStream(t, gate, key.Key, leaseLimit)
		s.NextEvent() // stream.open
		within = append(within, s)
	}

	for _, n := range p.cluster.Nodes() {
		n.Pause()
	}
	beyond, status := p.tryStream(t, 1, key.Key, "") // the second of its share
	if status != http.StatusOK {
		t.Fatalf("a stream was answered with %d", status)
	}
	beyond.NextEvent() // stream.open
	for _, n := range p.cluster.Nodes() {
		n.Resume()
	}
	began := time.Now()
	if e := beyond.NextEvent(); e.Type != "stream.goodbye" || !strings.Contains(string(e.Data), `"over_limit"`) {
		t.Errorf("beyond the limit a stream was told %s %s", e.Type, e.Data)
	}
	t.Logf("ended %s after Redis answered", time.Since(began))

	publisher := p.key(t, "--kind", "pub")
	if code, _, errs := stand.Run(t, "", "publish", "--url", p.gates[0].URL, "--key", publisher.Key, "--merchant", "acme", "--type", "ticket.sold", "1"); code != 0 {
		t.Fatalf("publish said %q", errs)
	}
	for i, s := range within {
		if e := s.NextEvent(); e.Type != "ticket.sold" {
			t.Errorf("within the limit stream %d was told %s %s", i, e.Type, e.Data)
		}
	}
	if _, list := stand.Ask(t, "GET", p.gates[1].URL+"/v1/connections", key.Key); strings.Count(list, `"since"`) != 4 {
		t.Errorf("there are four streams, and not %s", list)
	}
}

// A change of a key reaches its streams on all gateways within two seconds.
func TestChangesOfAKeyReachStreamsOnAllGateways(t *testing.T) {
	t.Parallel()
	const within = 2 * time.Second
	p := startPair(t, redistest.Shared(t))
	publisher := p.key(t, "--kind", "pub")
	publish := func(typ, data string) {
		t.Helper()
		code, _, errs := stand.Run(t, "", "publish", "--url", p.gates[0].URL, "--key", publisher.Key, "--merchant", "changed", "--type", typ, data)
		if code != 0 {
			t.Fatalf("publish said %q", errs)
		}
	}
	three := func(secret string) (all []*stand.Stream) {
		t.Helper()
		for i := range 3 {
			s, status := p.tryStream(t, i%2, secret, "")
			if status != http.StatusOK {
				t.Fatalf("a stream was answered with %d", status)
			}
			s.NextEvent() // stream.open
			all = append(all, s)
		}
		return all
	}

	narrowed := p.key(t, "--kind", "live", "--merchant", "changed", "--types", "payment.*,ticket.*")
	streams := three(narrowed.Key)
	publish("payment.made", "1")
	for _, s := range streams {
		if e := s.NextEvent(); e.Type != "payment.made" {
			t.Fatalf("got %s", e.Type)
		}
	}
	began := time.Now()
	p.keys(t, "edit", narrowed.ID, "--types", "ticket.*", "--json")
	for _, s := range streams {
		if e := s.NextEvent(); e.Type != "stream.scope" || time.Since(began) > within {
			t.Errorf("after %s the stream was told %s %s", time.Since(began), e.Type, e.Data)
		}
	}
	publish("payment.made", "2")
	publish("ticket.sold", "3")
	for _, s := range streams {
		if e := s.NextEvent(); e.Type != "ticket.sold" {
			t.Errorf("a narrowed stream got %s %s", e.Type, e.Data)
		}
	}
	replayed, _ := p.tryStream(t, 1, narrowed.Key, "?since=10m")
	for e := replayed.NextEvent(); e.Type != "stream.live"; e = replayed.NextEvent() {
		if strings.HasPrefix(e.Type, "payment.") {
			t.Errorf("a narrowed key was replayed %s", e.Type)
		}
	}

	rotated := p.key(t, "--kind", "live", "--merchant", "changed")
	fresh := p.keys(t, "rotate", rotated.ID, "--overlap", "4s", "--json")
	ends := time.Now().Add(4 * time.Second)
	for gate := range 2 {
		for _, secret := range []string{rotated.Key, fresh.Key} {
			if _, status := p.tryStream(t, gate, secret, ""); status != http.StatusOK && time.Now().Before(ends) {
				t.Errorf("within the overlap gateway %d answers with %d", gate, status)
			}
		}
	}
	time.Sleep(time.Until(ends) + 100*time.Millisecond)
	for gate := range 2 {
		if _, status := p.tryStream(t, gate, rotated.Key, ""); status != http.StatusUnauthorized {
			t.Errorf("after the overlap gateway %d answers the old secret with %d", gate, status)
		}
		if _, status := p.tryStream(t, gate, fresh.Key, ""); status != http.StatusOK {
			t.Errorf("after the overlap gateway %d answers the new secret with %d", gate, status)
		}
	}

	streams = three(fresh.Key)
	began = time.Now()
	p.keys(t, "revoke", rotated.ID, "--json")
	for i, s := range streams {
		if e := s.NextEvent(); e.Type != "stream.goodbye" || time.Since(began) > within {
			t.Errorf("%s after the revocation stream %d was told %s", time.Since(began), i, e.Type)
		}
		if e, err := s.Next(); err == nil {
			t.Errorf("after the goodbye stream %d went on with %s", i, e.Type)
		}
	}
	for gate := range 2 {
		if _, status := p.tryStream(t, gate, fresh.Key, ""); status != http.StatusUnauthorized {
			t.Errorf("gateway %d answers a revoked key with %d", gate, status)
		}
	}
}

// A key can end its stream on any gateway.
func TestConnectionOnAnotherGatewayIsEnded(t *testing.T) {
	t.Parallel()
	p := startPair(t, redistest.Shared(t))
	key := p.key(t, "--kind", "live", "--merchant", "ended")
	stream, _ := p.tryStream(t, 0, key.Key, "")
	var open struct{ Connection string }
	if err := json.Unmarshal(stream.NextEvent().Data, &open); err != nil {
		t.Fatal(err)
	}
	if _, list := stand.Ask(t, "GET", p.gates[1].URL+"/v1/connections", key.Key); !strings.Contains(list, open.Connection) {
		t.Fatalf("the other gateway lists %s", list)
	}
	began := time.Now()
	if res, text := stand.Ask(t, "DELETE", p.gates[1].URL+"/v1/connections/"+open.Connection, key.Key); res.StatusCode != http.StatusOK {
		t.Fatalf("ended with %d %s", res.StatusCode, text)
	}
	if e := stream.NextEvent(); e.Type != "stream.goodbye" || !strings.Contains(string(e.Data), "connection_ended") {
		t.Errorf("the stream was told %s %s", e.Type, e.Data)
	}
	t.Logf("ended after %s", time.Since(began))
}
