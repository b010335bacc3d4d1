package eventlog

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// partitions is how many hash slots the logs are spread over. All keys of a
// partition share its hash tag, so that one script and one blocked read can see
// them. With another number every log would be looked for in the wrong place.
const partitions = 64

// layoutKey has in Redis, from the first start on, how the logs are laid out. At
// first that was only the number of partitions.
const layoutKey = "ps:partitions"

var layout = fmt.Sprintf("%d partitions, entries %d", partitions, entriesVersion)

// testSuffix makes the name of a merchant's test log from that of the live one.
const testSuffix = ".test"

// partitionOf returns where a log is: FNV-1a, 32 bits, of the merchant's name,
// modulo the number of partitions. A merchant's live and test logs share it.
// It can never change.
func partitionOf(log string) int {
	h := fnv.New32a()
	h.Write([]byte(strings.TrimSuffix(log, testSuffix)))
	return int(h.Sum32() % partitions)
}

// keys are the names under which Redis has the parts of one log.
type keys struct{ log, head, duplicates, states, ages string }

func keysOf(log string) keys {
	base := partitionTag(partitionOf(log)) + log
	return keys{
		log: base + ":log", head: base + ":head", duplicates: base + ":dup:",
		states: base + ":state", ages: base + ":state-ages",
	}
}

// logOfKey returns the name of the log whose entries are under a key.
func logOfKey(key string) string {
	_, name, _ := strings.Cut(strings.TrimSuffix(key, ":log"), "}:")
	return name
}

// bellKey is the stream that names the logs of a partition that grew.
func bellKey(partition int) string { return partitionTag(partition) + "bell" }

func partitionTag(partition int) string { return fmt.Sprintf("ps:{%02d}:", partition) }

// settleLayout notes in a new Redis how the logs are laid out, and refuses one in
// which it is noted that they are laid out in another way.
func (l *RedisLog) settleLayout(ctx context.Context) error {
	var noted string
	err := l.query(ctx, layoutKey, func(ctx context.Context) (err error) {
		if err = l.client.SetNX(ctx, layoutKey, layout, 0).Err(); err == nil {
			noted, err = l.client.Get(ctx, layoutKey).Result()
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("note the layout of the logs: %w", err)
	}
	return agree(noted)
}

// checkLayout is settleLayout for a Redis that may take no writes.
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
