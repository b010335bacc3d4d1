package ratelimit

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/paylogic/pushserver/internal/redistest"
)

// One cluster serves all tests of this package, one after the other.
var (
	clusterOnce sync.Once
	testCluster *redistest.Cluster
)

func TestMain(m *testing.M) {
	code := m.Run()
	if testCluster != nil {
		testCluster.Close()
	}
	os.Exit(code)
}

func sharedCluster(t testing.TB) *redistest.Cluster {
	t.Helper()
	clusterOnce.Do(func() {
		var err error
		if testCluster, err = redistest.Open(context.Background(), redistest.Options{}); err != nil {
			t.Fatal(err)
		}
	})
	if testCluster == nil {
		t.Fatal("the cluster did not start")
	}
	return testCluster
}

// connect returns a client with the settings of the program's own.
func connect(t testing.TB, addrs ...string) redis.UniversalClient {
	o := &redis.UniversalOptions{
		Addrs:                    addrs,
		IsClusterMode:            len(addrs) > 1,
		Protocol:                 2,
		PoolSize:                 32,
		DialTimeout:              500 * time.Millisecond,
		DialerRetries:            1,
		MaxRetries:               -1,
		MaxRedirects:             2,
		ContextTimeoutEnabled:    true,
		ReadTimeout:              time.Second,
		WriteTimeout:             time.Second,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	var client redis.UniversalClient = redis.NewUniversalClient(o)
	if len(addrs) > 1 {
		c := o.Cluster()
		c.ClusterStateReloadInterval = time.Second
		c.DisableRoutingPolicies = true
		client = redis.NewClusterClient(c)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// openLimiter returns a limiter that waits for Redis as long as a busy machine
// may take: a verdict of its own would be another than the test is about.
func openLimiter(t testing.TB, o RedisOptions, addrs ...string) *RedisLimiter {
	r := NewRedisLimiter(connect(t, addrs...), o)
	r.patience = 10 * time.Second
	t.Cleanup(func() {
		if n := r.Fallbacks(); n != 0 {
			t.Errorf("%d verdicts were given without Redis", n)
		}
	})
	return r
}

var clusterSubject = subject{
	open:  func(t *testing.T) limiter { return openLimiter(t, RedisOptions{}, sharedCluster(t).Addrs()...) },
	pass:  redisPass,
	erase: redisErase,
}

var standaloneSubject = subject{
	open: func(t *testing.T) limiter {
		return openLimiter(t, RedisOptions{}, redistest.StartStandalone(t).Addr())
	},
	pass:  redisPass,
	erase: redisErase,
}

// older makes everything of a key older by ARGV[1] ms, as time does.
var older = redis.NewScript(`
local d = tonumber(ARGV[1])
for i, key in ipairs(KEYS) do
  local left = redis.call('PTTL', key)
  if left == -1 then return redis.error_reply(key .. ' never expires') end
  if left >= 0 then
    if i == 1 then
      local states = redis.call('HGETALL', key)
      for s = 1, #states, 2 do
        if string.sub(states[s], -1) ~= '+' then redis.call('HINCRBY', key, states[s], -d * 1000) end
      end
    elseif i == 2 or i == 5 then
      for _, id in ipairs(redis.call('ZRANGE', key, 0, -1)) do redis.call('ZINCRBY', key, -d, id) end
    end
    redis.call('PEXPIRE', key, left - d)
  end
end`)

func redisPass(t fataler, l limiter, key string, d time.Duration) {
	r := l.(*RedisLimiter)
	keys := append([]string{ratesKey(key)}, leaseKeys(key)...)
	err := older.Run(context.Background(), r.client, keys, d.Milliseconds()).Err()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatalf("make %s older: %v", key, err)
	}
	r.refusals.mu.Lock()
	defer r.refusals.mu.Unlock()
	if f, ok := r.refusals.all[key]; ok {
		f.at, f.until = f.at.Add(-d), f.until.Add(-d)
		r.refusals.all[key] = f
	}
}

func redisErase(t fataler, l limiter, key string) {
	r := l.(*RedisLimiter)
	for _, key := range append(leaseKeys(key), ratesKey(key)) {
		if err := r.client.Del(context.Background(), key).Err(); err != nil {
			t.Fatalf("erase %s: %v", key, err)
		}
	}
}
