package main

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/paylogic/pushserver/api/keys"
	"github.com/paylogic/pushserver/auth"
)

// keysLimit bounds a command about keys.
const keysLimit = 15 * time.Second

// A registry creates and changes keys: a [keys.Registry] in Redis, or a
// remote server.
type registry interface {
	Create(ctx context.Context, description keys.Patch) (keys.View, error)
	List(ctx context.Context, after string, limit int) ([]keys.View, error)
	Find(ctx context.Context, id string) (keys.View, error)
	Edit(ctx context.Context, id string, p keys.Patch) (keys.View, error)
	Rotate(ctx context.Context, id string, overlap time.Duration) (keys.View, error)
	Revoke(ctx context.Context, id string) (keys.View, error)
	Audit(ctx context.Context, after eventlog.ID, limit int) (keys.AuditPage, error)
}

// registryFlags say where the keys are.
type registryFlags struct {
	Redis      redisFlags `embed:""`
	Durability string     `help:"What a change survives: ${enum}. A Redis without replicas needs best-effort." enum:"replicated,best-effort" default:"replicated" env:"PUSHSERVER_DURABILITY"`
	URL        string     `name:"url" help:"A running server to ask instead of Redis." placeholder:"URL" env:"PUSHSERVER_URL"`
	Key        string     `help:"An admin's key, for --url." placeholder:"KEY" env:"PUSHSERVER_KEY"`
}

// use calls do with the registry and rephrases its errors for the command
// line.
func (f *registryFlags) use(ctx context.Context, c *console, do func(context.Context, registry) error) error {
	ctx, cancel := context.WithTimeout(ctx, keysLimit)
	defer cancel()
	r, end, err := f.open(ctx, c)
	if err != nil {
		return err
	}
	defer end()
	switch err = flagError(do(ctx, r)); {
	case errors.Is(err, auth.ErrUnknown):
		return errors.New("no key has this id: see keys list")
	case errors.Is(err, auth.ErrRevoked):
		return errors.New("the key was revoked and cannot be changed: create another")
	case errors.Is(err, auth.ErrOverlap):
		return errors.New("the secret before the last rotation still works: wait until it ends (keys show), or rotate with --overlap 0")
	case errors.Is(err, auth.ErrNotReplicated):
		return errors.New("no replica confirmed the change: run the same command again; a Redis without replicas needs --durability best-effort")
	}
	return err
}

func (f *registryFlags) open(ctx context.Context, c *console) (r registry, end func(), err error) {
	switch {
	case f.URL != "" && len(f.Redis.Redis) > 0:
		return nil, nil, errors.New("--url and --redis exclude each other: ask a server, or the Redis behind it")
	case f.URL != "":
		server := serverFlags{URL: f.URL, Key: f.Key}
		c, err := server.client()
		if err != nil {
			return nil, nil, err
		}
		return &remoteRegistry{c}, func() {}, nil
	case len(f.Redis.Redis) == 0:
		return nil, nil, errors.New("pass --redis HOST:PORT, or --url with an admin's --key; an embedded server keeps its own keys")
	}
	log, store, err := f.Redis.openStore(ctx, c, f.Durability)
	if err != nil {
		return nil, nil, err
	}
	return localRegistry{keys.Registry{Store: store, Log: log, By: auth.CLI}}, func() { log.Close() }, nil
}

// A localRegistry is the one in Redis.
type localRegistry struct{ keys.Registry }

// Edit implements registry. The command line has no revision to compare.
func (r localRegistry) Edit(ctx context.Context, id string, p keys.Patch) (keys.View, error) {
	return r.Registry.Edit(ctx, id, 0, p)
}

// openStore opens the keys in Redis, and the log that announces their
// changes.
func (f *redisFlags) openStore(ctx context.Context, c *console, durability string) (*eventlog.RedisLog, auth.Store, error) {
	logger := slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelError}))
	o, err := f.options(logger)
	if err != nil {
		return nil, nil, err
	}
	o.Durability = eventlog.Durability(durability)
	log, err := eventlog.OpenRedisLog(ctx, o)
	if err != nil {
		return nil, nil, fmt.Errorf("--redis: %w", err)
	}
	return log, auth.NewRedisStore(log.Client(), auth.RedisOptions{Replicated: o.Durability == eventlog.Replicated}), nil
}
