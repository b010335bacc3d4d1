package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/paylogic/pushserver/auth"
)

type merchantsCommand struct {
	Create merchantsCreateCommand `cmd:"" help:"Create merchants before they have a key, so that events for them are kept."`
	List   merchantsListCommand   `cmd:"" help:"List all merchants by name."`
}

// merchantFlags say where the merchants are.
type merchantFlags struct {
	Redis      redisFlags `embed:""`
	Durability string     `help:"What a change survives: ${enum}. A Redis without replicas needs best-effort." enum:"replicated,best-effort" default:"replicated" env:"PUSHSERVER_DURABILITY"`
}

func (f *merchantFlags) use(ctx context.Context, c *console, do func(context.Context, auth.Store) error) error {
	if len(f.Redis.Redis) == 0 {
		return errors.New("pass --redis HOST:PORT; for an embedded server, create a key for the merchant")
	}
	ctx, cancel := context.WithTimeout(ctx, keysLimit)
	defer cancel()
	log, store, err := f.Redis.openStore(ctx, c, f.Durability)
	if err != nil {
		return err
	}
	defer log.Close()
	return do(ctx, store)
}

type merchantsCreateCommand struct {
	Where merchantFlags `embed:""`
	Names []string      `arg:"" help:"Names of the merchants: [a-z0-9-], at most 64 characters."`
}

// Run adds the merchants. Repeating is safe.
func (m *merchantsCreateCommand) Run(ctx context.Context, c *console) error {
	for _, name := range m.Names {
		if !auth.ValidMerchant(name) {
			return fmt.Errorf("%q is not a valid merchant name: it must have 1 to 64 characters from a-z, 0-9 and -", name)
		}
	}
	return m.Where.use(ctx, c, func(ctx context.Context, store auth.Store) error {
		for _, name := range m.Names {
			if err := store.AddMerchant(ctx, name); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	})
}

type merchantsListCommand struct {
	Where merchantFlags `embed:""`
}

// Run prints the names.
func (m *merchantsListCommand) Run(ctx context.Context, c *console) error {
	return m.Where.use(ctx, c, func(ctx context.Context, store auth.Store) error {
		for after := ""; ; {
			names, err := store.Merchants(ctx, after, auth.MaxPage)
			if err != nil {
				return err
			}
			for _, name := range names {
				fmt.Fprintln(c.out, name)
			}
			if len(names) < auth.MaxPage {
				return nil
			}
			after = names[len(names)-1]
		}
	})
}
