package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/rediscluster"
)

// fault returns a Redis error as one of the log's, or the context's.
func fault(ctx context.Context, log string, err error) error {
	switch {
	case redis.HasErrorPrefix(err, "WRONGTYPE "), redis.HasErrorPrefix(err, "DAMAGED "): // DAMAGED is the append script's
		return fmt.Errorf("log %q: %w: %w", log, ErrDamaged, err)
	case ctx.Err() != nil:
		return fmt.Errorf("log %q: %w: %w", log, ErrUnavailable, context.Cause(ctx))
	}
	return fmt.Errorf("log %q: %w: %w", log, ErrUnavailable, rediscluster.WithoutAddress(err))
}

// refusal returns an error that the append script wrote into its reply.
func refusal(log, text string) error {
	return fmt.Errorf("log %q: %w: %s", log, ErrDamaged, strings.TrimPrefix(text, "ERR "))
}

// reload has both clients learn soon which node serves what.
func (l *RedisLog) reload() {
	l.client.Reload()
	l.bells.Reload()
}

// query calls ask until it succeeds, fails for good, or readPatience ends.
func (l *RedisLog) query(ctx context.Context, log string, ask func(context.Context) error) error {
	patient, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	err := l.client.Retry(patient, ask)
	if err == nil || errors.Is(err, redis.Nil) {
		return nil
	}
	return fault(ctx, log, err)
}
