package streams

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// partitions is how many hash slots the logs are spread over. All keys of a
// partition share its hash tag, so that one script and one blocked read can see
// them. The number is in Redis from the first start on (partitionsKey): with
// another, every log would be looked for in the wrong place.
const partitions = 64

const partitionsKey = "ps:partitions"

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

// settlePartitions notes the number of partitions in a new Redis, and refuses
// one in which another number is noted.
func (l *RedisLog) settlePartitions(ctx context.Context) error {
	var noted string
	err := l.query(ctx, partitionsKey, func(ctx context.Context) (err error) {
		if err = l.client.SetNX(ctx, partitionsKey, partitions, 0).Err(); err == nil {
			noted, err = l.client.Get(ctx, partitionsKey).Result()
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("note the number of partitions: %w", err)
	}
	return agree(noted)
}

// checkPartitions is settlePartitions for a Redis that may take no writes.
func (l *RedisLog) checkPartitions(ctx context.Context) error {
	noted, err := l.client.Get(ctx, partitionsKey).Result()
	if errors.Is(err, redis.Nil) {
		return unsafeSetting("the key " + partitionsKey + " is gone: find out what deleted it, and restart the gateways")
	}
	if err != nil {
		return err
	}
	return agree(noted)
}

func agree(noted string) error {
	if noted == strconv.Itoa(partitions) {
		return nil
	}
	return unsafeSetting(fmt.Sprintf("the logs in this Redis are laid out in %q partitions (key %s) and this program uses %d: "+
		"use the version that made them, or another Redis", noted, partitionsKey, partitions))
}
