package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/rediscluster"
)

// Check implements [Log]. With [Replicated], every master must be configured to
// keep what it accepts; with [BestEffort], it only has to answer. Check reads only
// INFO, which needs no right to read the configuration.
func (l *RedisLog) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	if err := l.checkLayout(ctx); err != nil {
		l.reload()
		return l.unsafe(err)
	}
	check := l.checkMaster
	if l.durability == BestEffort {
		check = func(ctx context.Context, master *redis.Client) error { return master.Ping(ctx).Err() }
	}
	return l.unsafe(l.client.EachMaster(ctx, check))
}

// unsafe returns err as operators see it, without the addresses that network
// errors and redirections contain.
func (l *RedisLog) unsafe(err error) error {
	var setting unsafeSetting
	switch {
	case err == nil:
		return nil
	case errors.As(err, &setting), rediscluster.IsReply(err) && !rediscluster.IsTransient(err):
		return fmt.Errorf("check Redis: %w", err)
	case rediscluster.IsReply(err):
		word, _, _ := strings.Cut(err.Error(), " ")
		return fmt.Errorf("check Redis: a master answers %s: %w", word, ErrUnavailable)
	}
	return fmt.Errorf("check Redis: a master does not answer: %w", ErrUnavailable)
}

// An unsafeSetting names a setting that breaks a promise and the value to use.
type unsafeSetting string

func (s unsafeSetting) Error() string { return string(s) }

// checkMaster returns an error if the settings of a master allow it to lose an
// event that it accepted.
func (l *RedisLog) checkMaster(ctx context.Context, master *redis.Client) error {
	text, err := master.Info(ctx).Result()
	if err != nil {
		return err
	}
	info := make(map[string]string)
	online := 0
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		info[name] = value
		if strings.HasPrefix(name, "slave") && strings.Contains(value, "state=online") {
			online++
		}
	}
	const otherwise = ", or serve with durability " + string(BestEffort)
	switch {
	case info["maxmemory_policy"] != "noeviction":
		return unsafeSetting("maxmemory-policy of a master is " + info["maxmemory_policy"] +
			", so that it may drop logs: set it to noeviction" + otherwise)
	case info["aof_enabled"] != "1":
		return unsafeSetting("appendonly of a master is no, so that a restart empties it: set it to yes" + otherwise)
	case online == 0:
		return unsafeSetting("a master has no connected replica: add one" + otherwise)
	}
	return nil
}
