package auth

import (
	"context"
	"errors"
	"fmt"
)

// EnsureAdmin makes an admin's key if the store has no key at all, so that
// somebody can make the others. Of any number of gateways that start at once
// with one store, one makes it.
//
// The secret is the one given, or, if that is zero, a new one. It is returned
// with the key by the call that has made it, to be shown once; all others get
// nothing, and no error. With [ErrNotReplicated] both are returned too.
//
// A secret that is given and is no key's in a store with keys is not brought
// in: it may be one that was taken away. The error is then [ErrUnknown], or
// that of [Key.UsableBy].
func EnsureAdmin(ctx context.Context, store Store, given Secret) (Secret, *Key, error) {
	secret, key, err := describe(Key{Kind: Adm, Name: "first"})
	if err != nil {
		return Secret{}, nil, err
	}
	if given != (Secret{}) {
		if given.Kind() != Adm {
			return Secret{}, nil, errors.New("auth: the first key must be an admin's, ps_adm_…")
		}
		secret, key.secret = given, given.Hash()
	}
	made, err := store.CreateFirst(ctx, key)
	switch {
	case err != nil && !(made && errors.Is(err, ErrNotReplicated)):
		return Secret{}, nil, fmt.Errorf("make a first key: %w", err)
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
		return Secret{}, nil, fmt.Errorf("find the first key: %w", err)
	}
	return Secret{}, nil, nil
}
