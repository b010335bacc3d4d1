package api

import (
	"testing"

	"github.com/paylogic/pushserver/internal/rediscluster"
	"github.com/paylogic/pushserver/internal/redistest"
)

// deadRedis returns a client of a Redis that is dead.
func deadRedis(t testing.TB) *rediscluster.Client {
	t.Helper()
	node := redistest.StartStandalone(t)
	client, err := rediscluster.Open(t.Context(), rediscluster.Options{Addrs: []string{node.Addr()}, PoolSize: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	node.Kill()
	return client
}
