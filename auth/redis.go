package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/rediscluster"
)

// All keys of the store share the hash tag {auth}, so that one script can see
// them in a cluster too. They are small, and a gateway reads an entry only when
// its cache misses.
const (
	redisRecords   = "ps:{auth}:records"   // hash: id → record
	redisSecrets   = "ps:{auth}:secrets"   // hash: hash of a secret → id; the record decides whether the secret is valid
	redisRevoked   = "ps:{auth}:revoked"   // hash: id → when (ms)
	redisUsed      = "ps:{auth}:used"      // hash: id → when (ms)
	redisCreated   = "ps:{auth}:created"   // sorted set: ids by creation (ms)
	redisMerchants = "ps:{auth}:merchants" // sorted set: names, by bytes

	redisTimeout = time.Second
)

// RedisOptions of a [RedisStore]. The zero value suits a Redis without
// replicas.
type RedisOptions struct {
	// Replicated makes every change wait until a replica has it.
	Replicated bool
	// WaitTimeout is how long a change waits for a replica. Zero: 500 ms.
	WaitTimeout time.Duration
}

// A RedisStore is a [Store] in a Redis Cluster or a standalone Redis. Any number
// of processes may share one.
//
// Each call has a deadline of one second. A change that waits for a replica gets
// WaitTimeout on top. All reads go to masters, because a replica may not know of
// a revocation yet.
type RedisStore struct {
	client  *rediscluster.Client
	timeout time.Duration
	wait    time.Duration // for a replica; 0: changes do not wait
}

// NewRedisStore returns the store in the client's Redis. It sends nothing yet,
// and never closes the client.
func NewRedisStore(client *rediscluster.Client, o RedisOptions) *RedisStore {
	s := &RedisStore{client: client, timeout: redisTimeout}
	if o.Replicated {
		s.wait = cmp.Or(max(o.WaitTimeout.Truncate(time.Millisecond), 0), 500*time.Millisecond) // WAIT with 0 would never end
	}
	return s
}

// Find implements [Store].
func (s *RedisStore) Find(ctx context.Context, hash Hash) (*Key, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	fields, err := findScript.RunRO(ctx, s.client,
		[]string{redisSecrets, redisRecords, redisRevoked, redisUsed}, hash.String()).Slice()
	if err != nil {
		return nil, s.unavailable("find a key", err)
	}
	return keyOf(fields)
}

// FindByID implements [Store].
func (s *RedisStore) FindByID(ctx context.Context, id string) (*Key, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	keys, err := s.keysOf(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	return keys[0], nil
}

// List implements [Store].
func (s *RedisStore) List(ctx context.Context, after string, limit int) ([]*Key, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var from int64
	if after != "" {
		rank, err := s.client.ZRank(ctx, redisCreated, after).Result()
		if errors.Is(err, redis.Nil) {
			return nil, ErrUnknown
		}
		if err != nil {
			return nil, s.unavailable("list keys", err)
		}
		from = rank + 1 // ranks are stable: keys are never removed
	}
	ids, err := s.client.ZRange(ctx, redisCreated, from, from+int64(pageSize(limit))-1).Result()
	if err != nil {
		return nil, s.unavailable("list keys", err)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return s.keysOf(ctx, ids)
}

// keysOf fails with [ErrUnknown] if one of the ids is missing.
func (s *RedisStore) keysOf(ctx context.Context, ids []string) ([]*Key, error) {
	var fields [3]*redis.SliceCmd
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, name := range []string{redisRecords, redisRevoked, redisUsed} {
			fields[i] = p.HMGet(ctx, name, ids...)
		}
		return nil
	})
	if err != nil {
		return nil, s.unavailable("find keys by id", err)
	}
	keys := make([]*Key, len(ids))
	for i, id := range ids {
		keys[i], err = keyOf([]any{fields[0].Val()[i], fields[1].Val()[i], fields[2].Val()[i]})
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", id, err)
		}
	}
	return keys, nil
}

// MerchantExists implements [Store].
func (s *RedisStore) MerchantExists(ctx context.Context, name string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := s.client.ZScore(ctx, redisMerchants, name).Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, s.unavailable("find a merchant", err)
	}
	return true, nil
}

// Merchants implements [Store].
func (s *RedisStore) Merchants(ctx context.Context, after string, limit int) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	from := "-"
	if after != "" {
		from = "(" + after
	}
	names, err := s.client.ZRangeArgs(ctx, redis.ZRangeArgs{
		Key: redisMerchants, Start: from, Stop: "+", ByLex: true, Count: int64(pageSize(limit)),
	}).Result()
	if err != nil {
		return nil, s.unavailable("list merchants", err)
	}
	return names, nil
}

// unavailable returns err as [ErrUnavailable].
func (s *RedisStore) unavailable(what string, err error) error {
	s.client.Reload()
	return fmt.Errorf("%s: %w: %w", what, ErrUnavailable, rediscluster.WithoutAddress(err))
}

// keyOf decodes a Redis answer: the record, the time of revocation and the time
// of the last use, each as text, or nil if missing.
func keyOf(fields []any) (*Key, error) {
	if len(fields) == 0 {
		return nil, ErrUnknown
	}
	if len(fields) != 3 {
		return nil, fmt.Errorf("auth: a key of %d fields", len(fields))
	}
	text, ok := fields[0].(string)
	if !ok {
		return nil, ErrUnknown
	}
	key, err := decodeRecord(text)
	if err != nil {
		return nil, err
	}
	if key.Revoked, err = timeOf(fields[1]); err != nil {
		return nil, fmt.Errorf("auth: time of revocation of %s: %w", key.ID, err)
	}
	if key.LastUsed, err = timeOf(fields[2]); err != nil {
		return nil, fmt.Errorf("auth: time of last use of %s: %w", key.ID, err)
	}
	return key, nil
}

func timeOf(field any) (time.Time, error) {
	text, ok := field.(string)
	if !ok {
		return time.Time{}, nil
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(ms).UTC(), nil
}
