package eventlog

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/redistest"
)

func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }

func openRedis(t testing.TB, o RedisOptions) *RedisLog {
	t.Helper()
	l, err := OpenRedisLog(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// openCluster opens a log in the shared cluster.
func openCluster(t testing.TB) *RedisLog {
	t.Helper()
	return openRedis(t, RedisOptions{Addrs: redistest.Shared(t).Addrs()})
}

var clusterSubject = subject{
	open: func(t *testing.T) Log { return openCluster(t) },
	trim: redisTrim, revert: redisRevert, erase: redisErase,
}

var standaloneSubject = subject{
	open: func(t *testing.T) Log {
		return openRedis(t, RedisOptions{Addrs: []string{standaloneAddr(t)}, Durability: BestEffort})
	},
	trim: redisTrim, revert: redisRevert, erase: redisErase,
}

func standaloneAddr(t testing.TB) string { return redistest.StartStandalone(t).Addr() }

func mustDo(t testing.TB, l Log, args ...any) any {
	t.Helper()
	answer, err := l.(*RedisLog).client.Do(context.Background(), args...).Result()
	if err != nil && err != redis.Nil {
		t.Fatalf("%v: %v", args, err)
	}
	return answer
}

func redisTrim(t *testing.T, l Log, log string, keep int) {
	mustDo(t, l, "XTRIM", keysOf(log).log, "MAXLEN", keep)
}

func redisRevert(t *testing.T, l Log, log string, entries int) {
	k := keysOf(log)
	all := mustReadAll(t, l, log)
	for _, e := range all[len(all)-entries:] {
		mustDo(t, l, "XDEL", k.log, e.ID.stamp())
	}
	mustDo(t, l, "HSET", k.head, "last", all[len(all)-entries-1].ID.String())
}

func redisErase(t *testing.T, l Log, log string) {
	k := keysOf(log)
	for _, key := range []string{k.log, k.head, k.duplicates + "0", k.duplicates + "1", k.duplicates + "2", k.duplicates + "3"} {
		mustDo(t, l, "DEL", key)
	}
}

var memorySubject = subject{
	open: func(t *testing.T) Log { return NewMemoryLog(MemoryOptions{}) },
	trim: func(t *testing.T, l Log, log string, keep int) {
		m := l.(*MemoryLog).log(log)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.trim(Retention{Events: keep, Age: time.Hour, State: time.Hour}, time.Now())
	},
	revert: func(t *testing.T, l Log, log string, entries int) {
		m := l.(*MemoryLog).log(log)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.lose(entries)
	},
	erase: func(t *testing.T, l Log, log string) {
		m := l.(*MemoryLog)
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.logs, log)
	},
}

func containsAll(s string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(s, part) {
			return false
		}
	}
	return true
}
