package eventlog

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// partitions is the number of hash slots that hold the logs. All keys of a
// partition share its hash tag, so that one script and one blocked read can see
// them. With another number, every log would be looked up in the wrong place.
const partitions = 64

// layoutKey holds the layout of the logs from the first start on. It is named
// after the older layout, which was the number of partitions alone.
const layoutKey = "ps:partitions"

var layout = fmt.Sprintf("%d partitions, entries %d", partitions, entriesVersion)

// testSuffix turns the name of a merchant's live log into that of the test log.
const testSuffix = ".test"

// partitionOf returns the 32-bit FNV-1a hash of the merchant's name modulo the
// number of partitions. A merchant's live and test logs share a partition. This
// function can never change.
func partitionOf(log string) int {
	h := fnv.New32a()
	h.Write([]byte(strings.TrimSuffix(log, testSuffix)))
	return int(h.Sum32() % partitions)
}

// keys are the Redis keys of one log.
type keys struct{ log, head, duplicates, states, ages string }

func keysOf(log string) keys {
	base := partitionTag(partitionOf(log)) + log
	return keys{
		log: base + ":log", head: base + ":head", duplicates: base + ":dup:",
		states: base + ":state", ages: base + ":state-ages",
	}
}

func logOfKey(key string) string {
	_, name, _ := strings.Cut(strings.TrimSuffix(key, ":log"), "}:")
	return name
}

// bellKey names the stream of a partition's bell. Its entries are names of logs
// that grew.
func bellKey(partition int) string { return partitionTag(partition) + "bell" }

func partitionTag(partition int) string { return fmt.Sprintf("ps:{%02d}:", partition) }

// settleLayout records the layout in a new Redis, and refuses a Redis with another
// layout.
func (l *RedisLog) settleLayout(ctx context.Context) error {
	var noted string
	err := l.query(ctx, layoutKey, func(ctx context.Context) (err error) {
		if err = l.client.SetNX(ctx, layoutKey, layout, 0).Err(); err == nil {
			noted, err = l.client.Get(ctx, layoutKey).Result()
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("record the layout of the logs: %w", err)
	}
	return agree(noted)
}

// checkLayout is settleLayout without a write.
func (l *RedisLog) checkLayout(ctx context.Context) error {
	noted, err := l.client.Get(ctx, layoutKey).Result()
	if errors.Is(err, redis.Nil) {
		return unsafeSetting("the key " + layoutKey + " is gone: find out what deleted it, and restart the gateways")
	}
	if err != nil {
		return err
	}
	return agree(noted)
}

func agree(noted string) error {
	if noted == layout {
		return nil
	}
	return unsafeSetting(fmt.Sprintf("the logs in this Redis are laid out as %q (key %s) and this program uses %q: "+
		"use the version that made them, or another Redis", noted, layoutKey, layout))
}
