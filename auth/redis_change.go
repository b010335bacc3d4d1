package auth

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisConfirmed is written before each WAIT. Redis promises that a WAIT covers
// the writes of its own connection and no more, and a change that is asked for
// again finds everything done and writes nothing.
const redisConfirmed = "ps:{auth}:confirmed"

// markedAtOnce is how many uses one script notes, which holds up everyone else
// on that master while it runs.
const markedAtOnce = 500

// Create implements [Store].
func (s *RedisStore) Create(ctx context.Context, key *Key) error {
	_, err := s.createKey(ctx, key, "")
	return err
}

// CreateFirst implements [Store].
func (s *RedisStore) CreateFirst(ctx context.Context, key *Key) (bool, error) {
	return s.createKey(ctx, key, "first")
}

// createKey reports whether the store has the key now.
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
		return false, fmt.Errorf("auth: create %s: it is there already", key.ID)
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
	call := redisChange{"note the use of keys", usedScript, []string{redisUsed}, nil}
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

// A redisChange is one call of a script that changes something. Each may be
// made twice: the second time it finds what the first has done.
type redisChange struct {
	what   string
	script changeScript
	keys   []string
	args   []any
}

// change returns what the script returns. Every change goes through here. It is
// tried again as long as that may help and the store's deadline allows.
func (s *RedisStore) change(ctx context.Context, c redisChange) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout+s.wait)
	defer cancel()
	whole := false // send the script itself, for the node does not know it
	for try := 0; ; try++ {
		answer, confirmed, err := s.attempt(ctx, c, whole)
		switch {
		case err == nil && confirmed:
			return answer, nil
		case err == nil:
			return answer, fmt.Errorf("%s: %w", c.what, ErrNotReplicated)
		case redis.HasErrorPrefix(err, "NOSCRIPT ") && !whole:
			whole = true
			continue
		}
		s.reload()
		if !passing(err) || !pause(ctx, try) {
			return nil, s.unavailable(c.what, err)
		}
	}
}

// attempt makes a change, and has it confirmed on the same connection: a WAIT
// speaks of what was written before it on its own, and the cluster client would
// send it anywhere.
func (s *RedisStore) attempt(ctx context.Context, c redisChange, whole bool) (answer any, confirmed bool, err error) {
	node, err := s.master(ctx)
	if err != nil {
		return nil, false, err
	}
	pipe := node.Pipeline()
	var call *redis.Cmd
	if whole {
		call = pipe.Eval(ctx, c.script.text, c.keys, c.args...)
	} else {
		call = pipe.EvalSha(ctx, c.script.sha, c.keys, c.args...)
	}
	if s.wait == 0 {
		_, _ = pipe.Exec(ctx) // the call has its own error
		return call.Val(), true, call.Err()
	}
	pipe.Set(ctx, redisConfirmed, "", 0)
	wait := redis.NewIntCmd(ctx, "WAIT", 1, s.wait.Milliseconds())
	_ = pipe.Process(ctx, wait)
	// An error of the other two is that of a connection, or of a node that
	// stopped being a master while it waited: what it took may be lost already.
	_, err = pipe.Exec(ctx)
	if call.Err() != nil {
		err = call.Err()
	}
	return call.Val(), wait.Val() > 0, err
}

// master returns the client of the node that has the store.
func (s *RedisStore) master(ctx context.Context) (*redis.Client, error) {
	switch client := s.client.(type) {
	case *redis.ClusterClient:
		return client.MasterForKey(ctx, redisRecords)
	case *redis.Client:
		return client, nil
	}
	return nil, errClient
}

var errClient = errors.New("auth: a client of neither a cluster nor a single Redis")

// passing reports whether another try may go better: nobody answered, or a
// node that does not serve this now. While the slot is on its way to another
// node, changes wait.
func passing(err error) bool {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return !errors.Is(err, errClient) && !errors.Is(err, redis.ErrClosed)
	}
	for _, prefix := range []string{
		"MOVED ", "ASK ", "TRYAGAIN ", "CLUSTERDOWN ", "LOADING ", "MASTERDOWN ", "READONLY ", "UNBLOCKED ",
	} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

// pause waits a little, longer with each try, and reports whether there is time
// for another.
func pause(ctx context.Context, try int) bool {
	d := min(5*time.Millisecond<<min(try, 5), 100*time.Millisecond)
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
