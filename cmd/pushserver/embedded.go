package main

import (
	"github.com/paylogic/pushserver/api"
	"github.com/paylogic/pushserver/streams/eventlog"

	"context"
	"fmt"
	"path/filepath"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/internal/boltfile"
)

// The files in the directory of --data.
const (
	eventsFile = "events.db"
	keysFile   = "keys.db"
)

// serveEmbedded serves without Redis.
func (s *serveCommand) serveEmbedded(ctx context.Context, c *console, g *gateway, o eventlog.RedisOptions, config api.Config, admin auth.Secret) error {
	var err error
	if config.Log, config.Store, err = s.openEmbedded(g, o); err != nil {
		return err
	}
	if err := s.open(g, config); err != nil {
		return err
	}
	// This comes last, when nothing else can fail: a key that was created and
	// never shown would still exist at the next start.
	if err := beginAdministration(ctx, c, g.logger, config.Store, admin); err != nil {
		return err
	}
	return g.wait(ctx)
}

// openEmbedded opens what is in the directory of --data, or what is in memory.
func (s *serveCommand) openEmbedded(g *gateway, o eventlog.RedisOptions) (eventlog.Log, auth.Store, error) {
	if s.Data == "" {
		g.logger.Warn("without --redis or --data, everything is kept in memory and ends with this process; to try it out with ready-made keys, run pushserver dev")
		return eventlog.NewMemoryLog(eventlog.MemoryOptions{Retention: o.Retention, DuplicateWindow: o.DuplicateWindow}), new(auth.MemoryStore), nil
	}
	if err := boltfile.MakeDirectory(s.Data); err != nil {
		return nil, nil, fmt.Errorf("--data: %w", err)
	}
	store, err := auth.OpenBoltStore(filepath.Join(s.Data, keysFile))
	if err != nil {
		return nil, nil, fmt.Errorf("--data: %w", err)
	}
	log, err := eventlog.OpenBoltLog(filepath.Join(s.Data, eventsFile), eventlog.BoltOptions{
		Retention: o.Retention, DuplicateWindow: o.DuplicateWindow, Logger: g.logger,
	})
	if err != nil {
		store.Close()
		return nil, nil, fmt.Errorf("--data: %w", err)
	}
	return log, store, nil
}
