package auth

import (
	"context"
	"errors"
	"fmt"
)

// EnsureAdmin makes an admin's key if the store has none, so that an operator can
// make the others. A revoked admin's key counts as one. Of any number of gateways
// that start at once with one store, one makes the key.
//
// The secret is the one given or, if that is zero, a new one. The call that made
// the key returns both, to be shown once; every other call returns neither, and no
// error. With [ErrNotReplicated] both are returned too.
//
// A given secret that is not in a store with an admin's key is not added: it may
// have been revoked or replaced. The error is then [ErrUnknown] or that of
// [Key.UsableBy].
func EnsureAdmin(ctx context.Context, store Store, given Secret) (Secret, *Key, error) {
	secret, key, err := describe(Key{Kind: Adm, Name: "first"})
	if err != nil {
		return Secret{}, nil, err
	}
	if given != (Secret{}) {
		if given.Kind() != Adm {
			return Secret{}, nil, errors.New("auth: the first admin key must be of the form ps_adm_…")
		}
		secret, key.secret = given, given.Hash()
	}
	made, err := store.CreateFirstAdmin(ctx, key)
	switch {
	case err != nil && !(made && errors.Is(err, ErrNotReplicated)):
		return Secret{}, nil, fmt.Errorf("make the first admin key: %w", err)
	case made:
		return secret, key, err
	case given == Secret{}:
		return Secret{}, nil, nil
	}
	kept, err := store.Find(ctx, given.Hash())
	if err == nil {
		err = kept.UsableBy(given.Hash(), timestamp())
	}
	if err != nil {
		return Secret{}, nil, fmt.Errorf("find the given admin key: %w", err)
	}
	return Secret{}, nil, nil
}
