package eventlog

import (
	"context"
	"strconv"
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
			err = l.client.EachMaster(ctx, l.sweepNode)
		}
		if err != nil && ctx.Err() == nil {
			l.logger.Debug("idle logs were not swept", "error", rediscluster.WithoutAddress(err))
		}
	}
}

func (l *RedisLog) sweepNode(ctx context.Context, node *redis.Client) error {
	now := l.now()
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
