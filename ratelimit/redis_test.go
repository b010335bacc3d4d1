package ratelimit

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/rediscluster"
	"github.com/paylogic/pushserver/internal/redistest"
)

func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }

// connect returns a client with the program's settings.
func connect(t testing.TB, addrs ...string) *rediscluster.Client {
	t.Helper()
	client, err := rediscluster.Open(context.Background(), rediscluster.Options{Addrs: addrs, PoolSize: 32})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// openLimiter returns a limiter that waits for Redis as long as a busy machine
// takes, so that Redis gives every verdict.
func openLimiter(t testing.TB, o RedisOptions, addrs ...string) *RedisLimiter {
	r := NewRedisLimiter(connect(t, addrs...), o)
	r.deadline = 10 * time.Second
	t.Cleanup(func() {
		if n := r.Fallbacks(); n != 0 {
			t.Errorf("%d verdicts were given without Redis", n)
		}
	})
	return r
}

var clusterSubject = subject{
	open:  func(t *testing.T) limiter { return openLimiter(t, RedisOptions{}, redistest.Shared(t).Addrs()...) },
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
