package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// MaxOverlap is how long the secret before a rotation can go on working.
const MaxOverlap = 30 * 24 * time.Hour

// conflictTries is how often a change that goes on top of any other is tried.
const conflictTries = 10

// Edit changes what a key may do, and returns the key with the names of the
// fields that are different now, as in a key's JSON. A description that cannot
// stand is refused with a [*FieldError]. Whose key it is stays, and so
// does what the program keeps of it.
//
// The revision is the one that the caller has seen: if the key has another,
// the error is [ErrConflict], unless that other one is this same edit, made
// before. 0 is for a caller who has seen none; change is then called again
// when somebody else was faster. A revoked key is not changed: [ErrRevoked].
//
// With [ErrNotReplicated] the key and the fields are returned too.
func Edit(ctx context.Context, store Store, id string, revision int64, change func(*Key)) (*Key, []string, error) {
	var fields []string
	key, err := update(ctx, store, id, revision, func(was *Key) (*Key, error) {
		asked := was.clone()
		change(asked)
		if asked.Kind != was.Kind {
			return nil, &FieldError{"kind", "cannot be changed: make another key"}
		}
		if asked.Merchant != was.Merchant {
			return nil, &FieldError{"merchant", "cannot be changed: make another key"}
		}
		next := was.clone()
		next.describe(asked)
		fields = differing(was, next)
		if len(fields) == 0 {
			return was, nil
		}
		if next.Expires.Equal(was.Expires) {
			return next, next.Validate(was.Created) // a key at its end can still be edited
		}
		return next, next.Validate(timestamp())
	})
	if key == nil {
		return nil, nil, err
	}
	return key, fields, err
}

// describe takes over what an edit may change.
func (k *Key) describe(asked *Key) {
	k.Name, k.Clause, k.Merchants, k.Expires = asked.Name, asked.Clause, asked.Merchants, cutTime(asked.Expires)
	k.Scopes, k.Origins, k.Limits = asked.Scopes, asked.Origins, asked.Limits
}

// differing names the fields in which two revisions of a key differ, of those
// that an edit may change.
func differing(a, b *Key) []string {
	var fields []string
	for _, field := range []struct {
		name string
		same bool
	}{
		{"name", a.Name == b.Name},
		{"types", slices.Equal(a.Types, b.Types)},
		{"subjects", slices.Equal(a.Subjects, b.Subjects)},
		{"filter", a.Filter == b.Filter},
		{"merchants", slices.Equal(a.Merchants, b.Merchants)},
		{"scopes", slices.Equal(a.Scopes, b.Scopes)},
		{"origins", slices.Equal(a.Origins, b.Origins)},
		{"limits", slices.Equal(a.Limits, b.Limits)},
		{"expires_at", a.Expires.Equal(b.Expires)},
	} {
		if !field.same {
			fields = append(fields, field.name)
		}
	}
	return fields
}

// A Rotation is how a key gets another secret.
type Rotation struct {
	// Revision is the one that the caller has seen, as for [Edit]. 0: none.
	Revision int64
	// Overlap is how long the secret of now goes on working, at most
	// [MaxOverlap]. Zero: it ends at once, with any other before it, and with
	// all tokens minted until now. That is for a secret that others know.
	Overlap time.Duration
	// Secret is what an earlier try has returned with [ErrNotReplicated], to
	// have that try confirmed. Zero: a new secret is minted.
	Secret Secret
}

// Rotate gives a key another secret: the same key, with all that it may do. It
// returns the secret, which is nowhere else, and the key.
//
// A key has two secrets at most. While the one before the last rotation works
// there is no other rotation with an overlap, for it would end a secret that
// was promised to work: [ErrOverlap]. One without is always possible.
//
// A revoked key is not rotated: [ErrRevoked]. With [ErrNotReplicated] secret
// and key are returned too, and the new secret works.
func Rotate(ctx context.Context, store Store, id string, r Rotation) (Secret, *Key, error) {
	if r.Overlap < 0 || r.Overlap > MaxOverlap {
		return Secret{}, nil, &FieldError{"overlap", "must be from 0 to " + MaxOverlap.String()}
	}
	secret := r.Secret
	key, err := update(ctx, store, id, r.Revision, func(was *Key) (*Key, error) {
		switch {
		case secret == Secret{}:
			secret = Mint(was.Kind)
		case secret.Kind() != was.Kind:
			return nil, errors.New("auth: the secret is one of another kind of key")
		}
		now := timestamp()
		switch {
		case was.secret == secret.Hash():
			return was, nil
		case was.former == secret.Hash():
			return nil, ErrConflict // another rotation came after the one to be confirmed
		case r.Overlap > 0 && now.Before(was.FormerUntil):
			return nil, ErrOverlap
		}
		next := was.clone()
		next.secret, next.former, next.FormerUntil = secret.Hash(), Hash{}, time.Time{}
		if r.Overlap > 0 {
			next.former, next.FormerUntil = was.secret, cutTime(now.Add(r.Overlap))
		}
		return next, nil
	})
	if key == nil {
		return Secret{}, nil, err
	}
	return secret, key, err
}

// update replaces a key by what next makes of it. If next returns the key that
// it was given, nothing changes, but the store confirms what is there.
//
// The key is returned if the change is in effect.
func update(ctx context.Context, store Store, id string, revision int64, next func(*Key) (*Key, error)) (*Key, error) {
	for try := 1; ; try++ {
		key, err := updateOnce(ctx, store, id, revision, next)
		if err == nil {
			return key, nil
		}
		if errors.Is(err, ErrConflict) && revision == 0 && try < conflictTries {
			continue
		}
		return key, fmt.Errorf("change %s: %w", id, err)
	}
}

func updateOnce(ctx context.Context, store Store, id string, revision int64, next func(*Key) (*Key, error)) (*Key, error) {
	was, err := store.FindByID(ctx, id)
	if err != nil {
		return nil, err
	}
	if !was.Revoked.IsZero() {
		return nil, ErrRevoked
	}
	key, err := next(was)
	if err != nil {
		return nil, err
	}
	repeated := key == was && revision == was.Revision-1
	if revision != 0 && revision != was.Revision && !repeated {
		return nil, ErrConflict
	}
	if key != was {
		key.Revision = was.Revision + 1
	}
	err = store.Replace(ctx, key)
	if err != nil && !errors.Is(err, ErrNotReplicated) {
		return nil, err
	}
	return key, err
}
