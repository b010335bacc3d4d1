package auth

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/rediscluster"
)

// redisConfirmed is written before each WAIT. WAIT covers only the writes of its
// own connection, and a repeated change finds everything done and writes
// nothing.
const redisConfirmed = "ps:{auth}:confirmed"

// markedAtOnce bounds the uses that one script records, because a script blocks
// its master while it runs.
const markedAtOnce = 500

// Create implements [Store].
func (s *RedisStore) Create(ctx context.Context, key *Key) error {
	_, err := s.createKey(ctx, key, "")
	return err
}

// CreateFirstAdmin implements [Store].
func (s *RedisStore) CreateFirstAdmin(ctx context.Context, key *Key) (bool, error) {
	return s.createKey(ctx, key, "first admin")
}

// createKey returns true if the store has the key now.
func (s *RedisStore) createKey(ctx context.Context, key *Key, first string) (bool, error) {
	text, err := encodeRecord(key)
	if err != nil {
		return false, fmt.Errorf("auth: encode %s: %w", key.ID, err)
	}
	done, err := s.change(ctx, redisChange{"create " + key.ID, createScript,
		[]string{redisRecords, redisSecrets, redisCreated, redisMerchants},
		[]any{text, key.ID, key.secret.String(), key.Created.UnixMilli(), key.Merchant, first}})
	switch done {
	case "done":
		return true, err
	case "late":
		return false, nil
	case "taken":
		return false, fmt.Errorf("auth: create %s: it exists already", key.ID)
	}
	return false, err
}

// Replace implements [Store].
func (s *RedisStore) Replace(ctx context.Context, key *Key) error {
	text, err := encodeRecord(key)
	if err != nil {
		return fmt.Errorf("auth: encode %s: %w", key.ID, err)
	}
	var former string
	if key.former != (Hash{}) {
		former = key.former.String()
	}
	done, err := s.change(ctx, redisChange{"replace " + key.ID, replaceScript,
		[]string{redisRecords, redisSecrets, redisRevoked},
		[]any{text, key.ID, key.Revision, key.secret.String(), former}})
	switch done {
	case "unknown":
		return ErrUnknown
	case "revoked":
		return ErrRevoked
	case "conflict":
		return ErrConflict
	case "taken":
		return fmt.Errorf("auth: replace %s: its secret is another key's", key.ID)
	}
	return err
}

// Revoke implements [Store].
func (s *RedisStore) Revoke(ctx context.Context, id string) (*Key, error) {
	done, err := s.change(ctx, redisChange{"revoke " + id, revokeScript,
		[]string{redisRecords, redisRevoked, redisUsed}, []any{id, timestamp().UnixMilli()}})
	fields, ok := done.([]any)
	if !ok {
		return nil, err
	}
	key, fault := keyOf(fields)
	if fault != nil {
		return nil, fault
	}
	return key, err
}

// AddMerchant implements [Store].
func (s *RedisStore) AddMerchant(ctx context.Context, name string) error {
	if err := checkMerchantName(name); err != nil {
		return err
	}
	_, err := s.change(ctx, redisChange{"add a merchant", merchantScript, []string{redisMerchants}, []any{name}})
	return err
}

// MarkUsed implements [Store].
func (s *RedisStore) MarkUsed(ctx context.Context, at map[string]time.Time) error {
	unconfirmed := *s
	unconfirmed.wait = 0
	call := redisChange{"record the use of keys", usedScript, []string{redisUsed}, nil}
	for id, used := range at {
		call.args = append(call.args, id, used.UnixMilli())
		if len(call.args) == 2*markedAtOnce {
			if _, err := unconfirmed.change(ctx, call); err != nil {
				return err
			}
			call.args = nil
		}
	}
	if len(call.args) == 0 {
		return nil
	}
	_, err := unconfirmed.change(ctx, call)
	return err
}

// A redisChange is one call of a script that writes. It is safe to repeat: the
// second call finds the work of the first.
type redisChange struct {
	what   string
	script *redis.Script
	keys   []string
	args   []any
}

// change makes a change and returns the script's answer. It retries transient
// errors until the store's deadline.
func (s *RedisStore) change(ctx context.Context, c redisChange) (answer any, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout+s.wait)
	defer cancel()
	call := rediscluster.Call{Script: c.script, Keys: c.keys, Args: c.args}
	err = s.client.Retry(ctx, func(ctx context.Context) error { return s.attempt(ctx, &call) })
	switch {
	case err != nil:
		return nil, s.unavailable(c.what, err)
	case !call.Confirmed:
		return call.Cmd.Val(), fmt.Errorf("%s: %w", c.what, ErrNotReplicated)
	}
	return call.Cmd.Val(), nil
}

func (s *RedisStore) attempt(ctx context.Context, call *rediscluster.Call) error {
	node, err := s.client.Master(ctx, redisRecords)
	if err != nil {
		return err
	}
	var mark *redis.StatusCmd
	rediscluster.Confirm(ctx, node, s.wait, []*rediscluster.Call{call}, func(pipe redis.Pipeliner) {
		if s.wait > 0 {
			mark = pipe.Set(ctx, redisConfirmed, "", 0)
		}
	})
	if call.Err == nil && mark != nil {
		return mark.Err() // without this write, WAIT proves nothing
	}
	return call.Err
}
