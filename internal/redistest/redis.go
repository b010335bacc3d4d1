package redistest

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// A conn talks to one server process. It is named redistest, so that a test
// that counts clients can leave it out.
type conn struct{ client *redis.Client }

func dial(addr string) *conn {
	return &conn{redis.NewClient(&redis.Options{
		Addr:                     addr,
		ClientName:               "redistest",
		Protocol:                 2,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		MaxRetries:               -1,
		DialerRetries:            1,
		DialTimeout:              500 * time.Millisecond,
		ReadTimeout:              20 * time.Second,
		ContextTimeoutEnabled:    true,
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
