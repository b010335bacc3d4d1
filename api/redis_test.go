package api

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// deadRedis returns a client of a Redis that is not there.
func deadRedis(t testing.TB) redis.UniversalClient {
	t.Helper()
	client := redis.NewClient(&redis.Options{
		Addr: "127.0.0.1:1", DialTimeout: 50 * time.Millisecond, MaxRetries: -1, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { client.Close() })
	return client
}
