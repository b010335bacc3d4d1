package auth

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// All keys of the store share the hash tag {auth}, so that one script can see
// them in a cluster too. They are few and small, and gateways ask for each
// only when their cache does not know.
const (
	redisKey       = "ps:{auth}:key:"      // + hash of the secret: hash of "record" and "revoked" (ms)
	redisIndex     = "ps:{auth}:keys"      // sorted set: ids by creation (ms)
	redisIDs       = "ps:{auth}:ids"       // hash: id → hash of the secret; an entry never changes
	redisMerchants = "ps:{auth}:merchants" // sorted set: names, by bytes

	redisTimeout = time.Second
)

//go:embed create.lua
var createLua string

//go:embed revoke.lua
var revokeLua string

//go:embed merchant.lua
var merchantLua string

// A RedisStore is a [Store] in a Redis Cluster, or in a Redis that stands
// alone. Any number of processes may share one.
//
// Each call has a deadline of a second, which the client keeps only with
// ContextTimeoutEnabled. The client must read from masters, as it does by
// default: a replica may not have heard of a revocation.
type RedisStore struct {
	client  redis.UniversalClient
	timeout time.Duration

	create, revoke, addMerchant *redis.Script
}

// NewRedisStore returns the store that lies in client's Redis. It asks Redis
// for nothing yet, and does not close the client.
func NewRedisStore(client redis.UniversalClient) *RedisStore {
	return &RedisStore{
		client:      client,
		timeout:     redisTimeout,
		create:      redis.NewScript(createLua),
		revoke:      redis.NewScript(revokeLua),
		addMerchant: redis.NewScript(merchantLua),
	}
}

// Create implements [Store].
func (s *RedisStore) Create(ctx context.Context, hash Hash, key *Key) error {
	text, err := encodeRecord(key)
	if err != nil {
		return fmt.Errorf("auth: encode %s: %w", key.ID, err)
	}
	made, err := s.write(ctx, s.create,
		[]string{redisKey + hash.String(), redisIndex, redisIDs, redisMerchants},
		text, key.ID, hash.String(), key.Created.UnixMilli(), key.Merchant).Int()
	if err != nil {
		return s.unavailable("create "+key.ID, err)
	}
	if made == 0 {
		return fmt.Errorf("auth: create %s: it is there already", key.ID)
	}
	return nil
}

// Find implements [Store].
func (s *RedisStore) Find(ctx context.Context, hash Hash) (*Key, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	fields, err := s.client.HMGet(ctx, redisKey+hash.String(), "record", "revoked").Result()
	if err != nil {
		return nil, s.unavailable("find a key", err)
	}
	return keyOf(fields)
}

// List implements [Store].
func (s *RedisStore) List(ctx context.Context, after string, limit int) ([]*Key, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var from int64
	if after != "" {
		rank, err := s.client.ZRank(ctx, redisIndex, after).Result()
		if errors.Is(err, redis.Nil) {
			return nil, ErrUnknown
		}
		if err != nil {
			return nil, s.unavailable("list keys", err)
		}
		from = rank + 1 // it stays true: keys are not removed
	}
	ids, err := s.client.ZRange(ctx, redisIndex, from, from+int64(pageSize(limit))-1).Result()
	if err != nil {
		return nil, s.unavailable("list keys", err)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return s.keysOf(ctx, ids)
}

// keysOf returns the keys with these ids, all of which are in the index.
func (s *RedisStore) keysOf(ctx context.Context, ids []string) ([]*Key, error) {
	hashes, err := s.client.HMGet(ctx, redisIDs, ids...).Result()
	if err != nil {
		return nil, s.unavailable("list keys", err)
	}
	records := make([]*redis.SliceCmd, len(ids))
	_, err = s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, hash := range hashes {
			text, _ := hash.(string)
			records[i] = p.HMGet(ctx, redisKey+text, "record", "revoked")
		}
		return nil
	})
	if err != nil {
		return nil, s.unavailable("list keys", err)
	}
	keys := make([]*Key, len(ids))
	for i, r := range records {
		if keys[i], err = keyOf(r.Val()); err != nil {
			return nil, fmt.Errorf("list %s: %w", ids[i], err)
		}
	}
	return keys, nil
}

// Revoke implements [Store].
func (s *RedisStore) Revoke(ctx context.Context, id string) (*Key, error) {
	hash, err := s.hashOf(ctx, id)
	if err != nil {
		return nil, err
	}
	fields, err := s.write(ctx, s.revoke, []string{redisKey + hash}, timestamp().UnixMilli()).Slice()
	if errors.Is(err, redis.Nil) {
		return nil, ErrUnknown
	}
	if err != nil {
		return nil, s.unavailable("revoke "+id, err)
	}
	return keyOf(fields)
}

// hashOf returns the hash of the secret of the key with this id.
func (s *RedisStore) hashOf(ctx context.Context, id string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	hash, err := s.client.HGet(ctx, redisIDs, id).Result()
	if errors.Is(err, redis.Nil) {
		return "", ErrUnknown
	}
	if err != nil {
		return "", s.unavailable("find a key by id", err)
	}
	return hash, nil
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

// AddMerchant implements [Store].
func (s *RedisStore) AddMerchant(ctx context.Context, name string) error {
	if err := checkMerchantName(name); err != nil {
		return err
	}
	if err := s.write(ctx, s.addMerchant, []string{redisMerchants}, name).Err(); err != nil {
		return s.unavailable("add a merchant", err)
	}
	return nil
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

// write runs a script that changes something. Every change goes through here,
// so that what must hold for all of them has one place.
func (s *RedisStore) write(ctx context.Context, script *redis.Script, keys []string, args ...any) *redis.Cmd {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return script.Run(ctx, s.client, keys, args...)
}

// unavailable says that Redis could not be asked, and has a cluster client
// look at the cluster again: left alone it may ask a dead master for long.
func (s *RedisStore) unavailable(what string, err error) error {
	if c, ok := s.client.(*redis.ClusterClient); ok {
		c.ReloadState(context.Background())
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err // without the node's address: errors are logged
	}
	return fmt.Errorf("%s: %w: %w", what, ErrUnavailable, err)
}

// keyOf returns the key of the fields "record" and "revoked", as Redis answers
// them: text, or nil for what is not there.
func keyOf(fields []any) (*Key, error) {
	if len(fields) != 2 {
		return nil, fmt.Errorf("auth: a record of %d fields", len(fields))
	}
	text, ok := fields[0].(string)
	if !ok {
		return nil, ErrUnknown
	}
	key, err := decodeRecord(text)
	if err != nil {
		return nil, err
	}
	if at, ok := fields[1].(string); ok {
		ms, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("auth: time of revocation of %s: %w", key.ID, err)
		}
		key.Revoked = time.UnixMilli(ms).UTC()
	}
	return key, nil
}
