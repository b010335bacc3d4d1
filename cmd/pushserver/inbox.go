package main

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
)

type inboxCommand struct {
	Dead inboxDeadCommand `cmd:"" help:"Print invalid inbox entries with the reasons, newest first."`
}

type inboxDeadCommand struct {
	Redis redisFlags `embed:""`
	Limit int        `help:"Maximum number of entries." default:"100"`
	JSON  bool       `name:"json" help:"Print one line of JSON per entry."`
}

// Run prints the dead letters.
func (d *inboxDeadCommand) Run(ctx context.Context, c *console) error {
	if d.Limit < 1 {
		return errors.New("--limit must be 1 or more")
	}
	log, err := d.Redis.openLog(ctx, c)
	if err != nil {
		return err
	}
	defer log.Close()
	letters, err := log.DeadLetters(ctx, d.Limit)
	if err != nil {
		return err
	}
	for _, l := range letters {
		if d.JSON {
			err = printJSON(c.out, map[string]any{"id": l.ID, "inbox_id": l.Inbox, "reason": l.Reason, "fields": l.Fields})
		} else {
			var fields []string
			for _, name := range slices.Sorted(maps.Keys(l.Fields)) {
				fields = append(fields, fmt.Sprintf("%s=%q", name, l.Fields[name]))
			}
			_, err = fmt.Fprintf(c.out, "%s  %s\n    %s\n", l.Inbox, l.Reason, strings.Join(fields, " "))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// openLog opens the logs in Redis, for a command.
func (f *redisFlags) openLog(ctx context.Context, c *console) (*eventlog.RedisLog, error) {
	if len(f.Redis) == 0 {
		return nil, errors.New("pass --redis HOST:PORT")
	}
	o, err := f.options(slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		return nil, err
	}
	log, err := eventlog.OpenRedisLog(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("--redis: %w", err)
	}
	return log, nil
}
