package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/paylogic/pushserver/auth"
)

// readAdminKey returns the key in a file; with no file, none.
func readAdminKey(file string) (auth.Secret, error) {
	if file == "" {
		return auth.Secret{}, nil
	}
	secret, err := auth.LoadSecret(file)
	if err != nil && !errors.Is(err, auth.ErrMalformed) {
		return auth.Secret{}, err
	}
	if err != nil || secret.Kind() != auth.Adm {
		return auth.Secret{}, errors.New("must hold one admin's key, ps_adm_…, and nothing else")
	}
	return secret, nil
}

// beginAdministration makes the first admin's key of a store: the one given, or a new
// one, which it shows. While the store is unavailable it tries again, until ctx is
// done.
func beginAdministration(ctx context.Context, c *console, logger *slog.Logger, store auth.Store, given auth.Secret) error {
	var secret auth.Secret
	var made *auth.Key
	for {
		var err error
		secret, made, err = auth.EnsureAdmin(context.WithoutCancel(ctx), store, given) // begun, it is not given up
		if err == nil || made != nil {
			break
		}
		if !errors.Is(err, auth.ErrUnavailable) {
			logger.Warn("the key of --admin-key-file is not used", "reason", err)
			return nil // the keys that are there work
		}
		logger.Warn("waiting for the keys", "reason", err)
		if pause(ctx, time.Second) != nil {
			return nil // there is nothing to end yet
		}
	}
	if made == nil || given != (auth.Secret{}) {
		return nil
	}
	_, err := fmt.Fprintf(c.out, "admin key, shown once: %s\n", secret.Reveal())
	return err
}
