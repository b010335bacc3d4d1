package rediscluster_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/rediscluster"
	"github.com/paylogic/pushserver/internal/redistest"
)

func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }

func open(t *testing.T, addrs ...string) *rediscluster.Client {
	t.Helper()
	c, err := rediscluster.Open(t.Context(), rediscluster.Options{Addrs: addrs, Name: "test", PoolSize: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// refused returns an address at which nothing listens.
func refused(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestOpenFindsOutWhatIsBehindTheAddresses(t *testing.T) {
	for name, test := range map[string]struct {
		addrs   []string
		masters int
	}{
		"cluster":    {append([]string{refused(t)}, redistest.Shared(t).Addrs()...), 3},
		"standalone": {[]string{redistest.StartStandalone(t).Addr()}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, test.addrs...)
			met := make(chan string, 6)
			c.OnNewNode(func(node *redis.Client) { met <- node.Options().Addr })
			if err := c.Set(t.Context(), "key", "value", 0).Err(); err != nil {
				t.Fatal(err)
			}
			masters := make(chan string, 6)
			err := c.EachMaster(t.Context(), func(_ context.Context, node *redis.Client) error {
				masters <- node.Options().Addr
				return nil
			})
			if err != nil || len(masters) != test.masters || len(met) < test.masters {
				t.Errorf("%d masters (%v) and %d nodes, want %d of each", len(masters), err, len(met), test.masters)
			}
			node, err := c.Master(t.Context(), "key")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := node.Get(t.Context(), "key").Result(); got != "value" {
				t.Errorf("the key's master has %q (%v)", got, err)
			}
		})
	}
}

func TestOpenSaysWhyItFailed(t *testing.T) {
	cluster := redistest.Shared(t).Addrs()
	for _, test := range []struct {
		o           rediscluster.Options
		unreachable bool
	}{
		{rediscluster.Options{}, false},
		{rediscluster.Options{Addrs: []string{refused(t), refused(t)}}, true},
		{rediscluster.Options{Addrs: cluster, Username: "nobody", Password: "wrong"}, false}, // no try can succeed
	} {
		_, err := rediscluster.Open(t.Context(), test.o)
		if err == nil || errors.Is(err, rediscluster.ErrUnreachable) != test.unreachable {
			t.Errorf("%v: %v, want ErrUnreachable: %t", test.o.Addrs, err, test.unreachable)
		}
	}
}

var setScript = redis.NewScript(`return redis.call('SET', KEYS[1], ARGV[1])`)

// calls returns calls for keys of one slot.
func calls(n int) []*rediscluster.Call {
	var calls []*rediscluster.Call
	for i := range n {
		calls = append(calls, &rediscluster.Call{Script: setScript, Keys: []string{fmt.Sprintf("{one}%d", i)}, Args: []any{i}})
	}
	return calls
}

func forget(t *testing.T, c *rediscluster.Client) {
	t.Helper()
	err := c.EachMaster(t.Context(), func(ctx context.Context, node *redis.Client) error {
		return node.ScriptFlush(ctx).Err()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestUnknownScriptIsSentWithItsSource(t *testing.T) {
	c := open(t, redistest.Shared(t).Addrs()...)
	node, err := c.Master(t.Context(), "{one}")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 3} {
		for try := range 2 { // the second with a script that the node knows
			if try == 0 {
				forget(t, c)
			}
			ran := calls(n)
			c.Run(t.Context(), ran...)
			if try == 0 {
				forget(t, c)
			}
			confirmed := calls(n)
			pipelines := 0
			rediscluster.Confirm(t.Context(), node, 5*time.Second, confirmed, func(redis.Pipeliner) { pipelines++ })
			for i := range n {
				if got, err := ran[i].Cmd.Result(); got != "OK" {
					t.Errorf("Run, call %d of %d: %v (%v)", i, n, got, err)
				}
				if done := confirmed[i]; done.Err != nil || !done.Confirmed || done.Cmd.Val() != "OK" {
					t.Errorf("Confirm, call %d of %d: %+v", i, n, done)
				}
			}
			if want := 2 - try; pipelines != want {
				t.Errorf("Confirm of %d, try %d: %d pipelines, want %d", n, try, pipelines, want)
			}
		}
	}
}

func TestConfirmedMeansThatAReplicaHasIt(t *testing.T) {
	cluster := redistest.Shared(t)
	c := open(t, cluster.Addrs()...)
	node, err := c.Master(t.Context(), "{one}")
	if err != nil {
		t.Fatal(err)
	}
	replica := cluster.Replica(cluster.Master("{one}"))
	nothing := func(redis.Pipeliner) {}
	replica.Pause()
	unconfirmed, unasked := calls(2), calls(1)
	rediscluster.Confirm(t.Context(), node, 50*time.Millisecond, unconfirmed, nothing)
	rediscluster.Confirm(t.Context(), node, 0, unasked, nothing)
	replica.Resume()
	cluster.AwaitHealthy()
	for _, done := range unconfirmed {
		if done.Err != nil || done.Confirmed {
			t.Errorf("with a frozen replica: %+v, want it unconfirmed and no error", done)
		}
	}
	if done := unasked[0]; done.Err != nil || !done.Confirmed {
		t.Errorf("without waiting: %+v, want it confirmed", done)
	}
}

func TestFailedCallIsNotConfirmed(t *testing.T) {
	c := open(t, redistest.Shared(t).Addrs()...)
	node, err := c.Master(t.Context(), "{one}")
	if err != nil {
		t.Fatal(err)
	}
	failing := &rediscluster.Call{Script: redis.NewScript(`return redis.error_reply('DAMAGED it')`), Keys: []string{"{one}"}}
	good := calls(1)[0]
	rediscluster.Confirm(t.Context(), node, 5*time.Second, []*rediscluster.Call{failing, good}, func(redis.Pipeliner) {})
	if !redis.HasErrorPrefix(failing.Err, "DAMAGED ") || good.Err != nil || !good.Confirmed {
		t.Errorf("got %v and %v, want the error of the one and the other confirmed", failing.Err, good.Err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rediscluster.Confirm(ctx, node, 5*time.Second, []*rediscluster.Call{good}, func(redis.Pipeliner) {})
	if good.Err == nil || good.Confirmed {
		t.Errorf("without time: %+v, want an error", good)
	}
}
