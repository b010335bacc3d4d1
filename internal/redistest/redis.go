package redistest

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/rediscluster"
)

// A conn talks to one server process. Its connections are named redistest, so that
// a test that counts clients can leave them out.
type conn struct{ client *redis.Client }

func dial(addr string) *conn {
	return &conn{rediscluster.Dial(rediscluster.Options{
		Addrs:       []string{addr},
		Name:        "redistest",
		ReadTimeout: 20 * time.Second,
	})}
}

func (c *conn) do(ctx context.Context, args ...any) (any, error) {
	answer, err := c.client.Do(ctx, args...).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	return answer, err
}

func (c *conn) close() { _ = c.client.Close() }
