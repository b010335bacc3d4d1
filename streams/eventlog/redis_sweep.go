package eventlog

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/rediscluster"
)

// An append trims its log. The sweep trims idle logs, on one gateway at a time, so
// that no event outlives its retention by more than a tenth.
const (
	sweepMost  = time.Minute
	sweepLeast = time.Second
	sweepKey   = "ps:sweep" // exists until the next sweep is due
	sweepScan  = 1000       // keys per SCAN
)

// sweep trims idle logs until ctx is done.
func (l *RedisLog) sweep(ctx context.Context) {
	period := min(max(l.retention.Age/10, sweepLeast), sweepMost)
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		mine, err := l.client.SetNX(ctx, sweepKey, 1, period*9/10).Result()
		if err == nil && mine {
			err = l.sweepOnce(ctx)
		}
		if err != nil && ctx.Err() == nil {
			l.logger.Debug("idle logs were not swept", "error", rediscluster.WithoutAddress(err))
		}
	}
}

// sweepOnce trims idle logs by the clock of Redis. A gateway's clock trims nothing:
// one that is a day ahead would erase every log.
func (l *RedisLog) sweepOnce(ctx context.Context) error {
	now, err := l.earliestClock(ctx)
	if err != nil {
		return err
	}
	return l.client.EachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		return l.sweepNode(ctx, node, now)
	})
}

// earliestClock returns the earliest time of all masters, so that one clock that is
// ahead trims nothing.
func (l *RedisLog) earliestClock(ctx context.Context) (time.Time, error) {
	var mu sync.Mutex // guards earliest; masters are asked at the same time
	var earliest time.Time
	err := l.client.EachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		now, err := node.Time(ctx).Result()
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if earliest.IsZero() || now.Before(earliest) {
			earliest = now
		}
		return nil
	})
	return earliest, err
}

func (l *RedisLog) sweepNode(ctx context.Context, node *redis.Client, now time.Time) error {
	var cursor uint64
	for {
		logs, next, err := node.ScanType(ctx, cursor, "ps:{*}:*:log", sweepScan, "stream").Result()
		if err != nil {
			return err
		}
		pipe := node.Pipeline()
		for _, key := range logs {
			age := l.retention.of(logOfKey(key)).Age
			pipe.XTrimMinID(ctx, key, strconv.FormatInt(max(0, now.Add(-age).UnixMilli()), 10))
		}
		// A log whose slot is moving waits for the next sweep.
		_, _ = pipe.Exec(ctx)
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}
