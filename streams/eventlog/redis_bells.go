package eventlog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/rediscluster"
)

// A blocked read lasts bellBlock, because a context that is done does not end it.
const (
	bellBlock = time.Second
	bellBatch = 512
)

// Bells implements [Log]. It returns within a second after ctx is done.
func (l *RedisLog) Bells(ctx context.Context, ring func(log string)) {
	var tails sync.WaitGroup
	for p := range partitions {
		tails.Go(func() {
			tail := bellTail{log: l, key: bellKey(p), ring: ring}
			tail.follow(ctx)
		})
	}
	tails.Wait()
}

// A bellTail follows the bell of one partition.
type bellTail struct {
	log  *RedisLog
	key  string
	ring func(log string)
	pos  string // of the last entry read; empty until seekEnd has set it
}

// follow rings until ctx is done. Moved finds what it misses while Redis is away.
func (t *bellTail) follow(ctx context.Context) {
	for ctx.Err() == nil && !t.log.closed.Load() {
		err := t.next(ctx)
		if err == nil || ctx.Err() != nil {
			continue
		}
		t.log.reload()
		t.log.logger.Debug("a bell is out of reach", "bell", t.key, "error", rediscluster.WithoutAddress(err))
		rediscluster.Sleep(ctx, 50*time.Millisecond+rand.N(100*time.Millisecond))
	}
}

// next rings for the next entries. It waits for them for at most bellBlock.
func (t *bellTail) next(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bellBlock+readPatience)
	defer cancel()
	if t.pos == "" {
		return t.seekEnd(ctx)
	}
	found, err := t.log.bells.XRead(ctx, &redis.XReadArgs{
		Streams: []string{t.key, t.pos},
		Count:   bellBatch,
		Block:   bellBlock,
	}).Result()
	if errors.Is(err, redis.Nil) {
		// Either the bell is quiet, or it was rolled back or replaced and now rings
		// below our position.
		return t.seekEnd(ctx)
	}
	if err != nil {
		return err
	}
	logs := make(map[string]struct{}, 1)
	for _, stream := range found {
		for _, entry := range stream.Messages {
			t.pos = entry.ID
			for log := range entry.Values {
				logs[log] = struct{}{}
			}
		}
	}
	for log := range logs {
		t.ring(log)
	}
	return nil
}

// seekEnd moves to the bell's end, but never forward from a known position: the
// entries in between are unread.
func (t *bellTail) seekEnd(ctx context.Context) error {
	newest, err := t.log.bells.XRevRangeN(ctx, t.key, "+", "-", 1).Result()
	if err != nil {
		return err
	}
	end := "0-0"
	if len(newest) > 0 {
		end = newest[0].ID
	}
	if t.pos == "" || precedes(end, t.pos) {
		t.pos = end
	}
	return nil
}

// precedes orders stream IDs of Redis by number, not as text.
func precedes(x, y string) bool {
	a, errX := parseStamp(x)
	b, errY := parseStamp(y)
	return errX == nil && errY == nil && a.Compare(b) < 0
}

// Moved implements [Log].
//
// It sends one command per head, in one pipeline per node. Redis answers a
// command of one key while its slot moves, but not a script of many keys.
func (l *RedisLog) Moved(ctx context.Context, heads map[string]ID) (moved, silent []string, err error) {
	if len(heads) == 0 {
		return nil, nil, nil
	}
	patient, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	logs := slices.Collect(maps.Keys(heads))
	pipe := l.client.Pipeline()
	replies := make([]*redis.SliceCmd, len(logs))
	for i, log := range logs {
		replies[i] = pipe.HMGet(patient, keysOf(log).head, "last", "inc")
	}
	_, _ = pipe.Exec(patient) // each command has its own error

	var failed error
	for i, log := range logs {
		head, err := replies[i].Result()
		switch {
		case redis.HasErrorPrefix(err, "WRONGTYPE "):
			moved = append(moved, log) // its readers get the error
		case err != nil:
			failed = fault(ctx, log, err)
			silent = append(silent, log)
		case readHead(head) != heads[log]:
			moved = append(moved, log)
		}
	}
	if failed != nil {
		l.reload()
		failed = fmt.Errorf("compare heads: %d of %d unanswered: %w", len(silent), len(logs), failed)
	}
	return moved, silent, failed
}

// readHead returns the head in a reply to HMGET last inc, or the zero ID.
func readHead(reply []any) ID {
	if len(reply) != 2 {
		return ID{}
	}
	if last, ok := reply[0].(string); ok {
		id, _ := ParseID(last)
		return id
	}
	if inc, ok := reply[1].(string); ok {
		id, _ := ParseID("0-0-" + inc)
		return id
	}
	return ID{}
}
