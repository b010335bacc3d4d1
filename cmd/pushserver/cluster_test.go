package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylogic/pushserver/internal/redistest"
	"github.com/paylogic/pushserver/ratelimit/policy"
)

const (
	viewers = 50
	// connectionSlack is by how many connections a node may differ without
	// that meaning anything: a pool that grew, a monitor that came by.
	connectionSlack = 8
	// clusterLimit bounds the whole test, start of the cluster included.
	clusterLimit = 90 * time.Second
)

// What the product promises: whatever happens to a node of Redis, everyone gets
// what was accepted for them once, in the log's order, and nothing of others.
func TestClusterFaultsCostNoViewerAnEvent(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), clusterLimit)
	defer cancel()
	c := redistest.Start(t)
	redis := strings.Join(c.Addrs(), ",")
	merchants := []string{"alpha", "bravo", "charlie", "delta", "echo"}
	keys := make(map[string]string)
	for _, m := range merchants {
		keys[m] = createKey(t, "--redis", redis, "--kind", "live", "--merchant", m)
	}
	publisher := createKey(t, "--redis", redis, "--kind", "pub")
	gateways := []string{beginGateway(t, redis), beginGateway(t, redis)}

	quiet := settledConnections(ctx, t, c)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	all := make([]*viewer, viewers)
	for i := range all {
		v := &viewer{
			t: t, name: fmt.Sprintf("viewer %d", i), gateways: gateways, turn: i,
			merchant: merchants[i%len(merchants)], want: interests[i/len(merchants)%len(interests)],
			opened: make(chan struct{}), done: make(chan struct{}),
		}
		v.key = keys[v.merchant]
		for _, m := range merchants {
			if m != v.merchant {
				v.foreign = append(v.foreign, canaryOf(m))
			}
		}
		if i%2 == 1 {
			v.restless = rand.New(rand.NewPCG(1, uint64(i)))
		}
		all[i] = v
		reading.Go(func() { v.watch(ctx) })
		await(ctx, t, v.opened, v.name+" to be let in") // one by one: many at a time make a pool grow, whoever they are
	}
	watched := settledConnections(ctx, t, c)
	t.Logf("connections by node: %v without viewers, %v with %d", quiet, watched, viewers)
	for addr, n := range watched {
		if n > quiet[addr]+connectionSlack {
			t.Errorf("%s has %d connections with %d viewers, %d without", addr, n, viewers, quiet[addr])
		}
	}

	p := beginPublishing(ctx, t, gateways, publisher, merchants)
	hot := hotKey(merchants[0])
	p.during("no fault", func() {})
	p.during("planned failover", func() {
		c.Failover(c.Replica(c.Master(hot)))
		c.AwaitHealthy()
	})
	from := c.Master(hot)
	p.during("slot moved away", func() { c.MigrateSlot(hot, otherMaster(t, c, from)) })
	p.during("slot moved back", func() { c.MigrateSlot(hot, from) })
	// Without a second copy nothing is accepted, so the fault lasts until the
	// dead master is back as a replica.
	p.during("master killed", func() {
		from.Kill()
		c.AwaitMaster(hot, from)
		from.Restart()
		c.AwaitHealthy()
	})
	accepted := p.finish()

	var connects, events int
	for _, v := range all {
		await(ctx, t, v.done, v.name+" to get the last event")
		v.mu.Lock()
		connects, events = connects+v.connects, events+len(v.got)
		v.check(accepted[v.merchant])
		v.mu.Unlock()
	}
	t.Logf("%d viewers got %d events over %d connections", viewers, events, connects)
}

// hotKey returns a key in the slot of the merchant's log.
func hotKey(merchant string) string {
	h := fnv.New32a()
	io.WriteString(h, merchant)
	return fmt.Sprintf("ps:{%02d}:%s:log", h.Sum32()%64, merchant)
}

// createKey makes a key that is limited as little as possible, in any Redis.
func createKey(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := execute(t, "", append([]string{"keys", "create", "--json", "--durability", "best-effort", "--limits", policy.Largest().String()}, args...)...)
	var made struct{ Key string }
	if err := json.Unmarshal([]byte(out), &made); code != exitOK || err != nil || made.Key == "" {
		t.Fatalf("keys create ended with %d, printed %d bytes and said %q", code, len(out), errs)
	}
	return made.Key
}

var announcement = regexp.MustCompile(`msg=listening for=clients address=(\S+)`)

// beginGateway runs serve over Redis until the test ends, and returns its URL.
func beginGateway(t *testing.T, redis string) string {
	t.Helper()
	url, _ := startGateway(t, "--redis", redis, "--heartbeat", "1s")
	return url
}

// startGateway runs serve until it is ended, or the test ends, and returns its URL.
func startGateway(t *testing.T, flags ...string) (url string, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	done := make(chan int, 1)
	go func() {
		args := append([]string{"serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"}, flags...)
		code := run(ctx, args, strings.NewReader(""), io.Discard, w)
		w.Close()
		done <- code
	}()
	found, logged := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(logged)
		for lines := bufio.NewScanner(r); lines.Scan(); {
			fmt.Fprintln(t.Output(), lines.Text())
			if match := announcement.FindStringSubmatch(lines.Text()); match != nil {
				found <- "http://" + match[1]
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-logged
		if code := <-done; code != exitOK {
			t.Errorf("serve ended with %d, want %d", code, exitOK)
		}
	})
	select {
	case url := <-found:
		return url, cancel
	case <-time.After(20 * time.Second):
		t.Fatal("serve did not say where it listens")
		return "", nil
	}
}

// settledConnections returns how many connections of gateways each node has,
// once every bell is followed and the numbers stand still.
func settledConnections(ctx context.Context, t *testing.T, c *redistest.Cluster) map[string]int {
	t.Helper()
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	last := ""
	for {
		count, bells := make(map[string]int), 0
		for _, n := range c.Nodes() {
			list, _ := n.Do("CLIENT", "LIST").(string)
			count[n.Addr()] = strings.Count(list, " name=pushserver")
			bells += strings.Count(list, " name=pushserver-bells")
		}
		now := fmt.Sprint(count)
		if bells >= 2*64 && now == last {
			return count
		}
		last = now
		select {
		case <-ctx.Done():
			t.Fatalf("the connections never settled: %s, %d of bells", last, bells)
		case <-tick.C:
		}
	}
}

func otherMaster(t *testing.T, c *redistest.Cluster, not *redistest.Node) *redistest.Node {
	t.Helper()
	for _, n := range c.Nodes() {
		if role, _ := n.Do("ROLE").([]any); n != not && len(role) > 0 && role[0] == "master" {
			return n
		}
	}
	t.Fatal("there is no other master")
	return nil
}

func await(ctx context.Context, t *testing.T, done <-chan struct{}, what string) {
	t.Helper()
	limit := time.NewTimer(15 * time.Second)
	defer limit.Stop()
	select {
	case <-done:
	case <-ctx.Done():
		t.Fatalf("out of time waiting for %s", what)
	case <-limit.C:
		t.Fatalf("waited 15 s for %s", what)
	}
}
