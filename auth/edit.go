package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// MaxOverlap is the longest time that a key can have two working secrets.
const MaxOverlap = 30 * 24 * time.Hour

// conflictTries is how often a change without a given revision is tried.
const conflictTries = 10

// Edit changes what a key may do. It returns the key and the names of the changed
// fields, as in a key's JSON. An invalid description is refused with a [*FieldError].
// The kind, the merchant and what the program records about the key cannot be changed.
//
// The revision is the one that the caller has read. If the key has another revision,
// the error is [ErrConflict], unless that revision is the result of this same edit. A
// caller that has read none passes 0; change is then called again after a concurrent
// change. A revoked key cannot be edited: [ErrRevoked].
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

// describe copies the fields that an edit may change.
func (k *Key) describe(asked *Key) {
	k.Name, k.Clause, k.Merchants, k.Expires = asked.Name, asked.Clause, asked.Merchants, cutTime(asked.Expires)
	k.Scopes, k.Origins, k.Limits = asked.Scopes, asked.Origins, asked.Limits
}

// differing returns the names of the editable fields in which two revisions differ.
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

// A Rotation says how a key gets a new secret.
type Rotation struct {
	// Revision is the one that the caller has read, as for [Edit]. 0: any.
	Revision int64
	// Overlap is how long the current secret continues to work, at most
	// [MaxOverlap]. Zero: it ends at once, with any earlier secret and all tokens
	// minted so far. Use zero after a leak.
	Overlap time.Duration
	// Secret repeats a rotation: it is the secret that an earlier call returned with
	// [ErrNotReplicated]. Zero: a new secret is minted.
	Secret Secret
}

// Rotate gives a key a new secret; everything else stays. It returns the secret, which
// is stored nowhere else, and the key.
//
// A key has at most two secrets. While the secret before the last rotation works, a
// rotation with an overlap would end it early and is refused: [ErrOverlap]. A rotation
// without an overlap is always possible.
//
// A revoked key cannot be rotated: [ErrRevoked]. With [ErrNotReplicated] the secret
// and the key are returned too, and the new secret works.
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

// update replaces a key by the result of next. If next returns its argument, nothing
// changes, but the store confirms what it has. The key is returned if the change is in
// effect.
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
