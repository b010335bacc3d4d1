package keys

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/paylogic/pushserver/auth"
)

// A Registry makes, shows and changes keys on behalf of one author.
//
// When a call returns without an error, the change is in effect and announced to every
// gateway. Errors are those of package auth, and [ErrNotTold]. After
// [auth.ErrNotReplicated] and ErrNotTold the change is in effect, and repeating the call
// is safe. An error would lose a new secret, so the secret is returned with a
// [View.Warning] instead.
type Registry struct {
	Store auth.Store
	Log   eventlog.Log
	By    string // id of the key that asks, or [auth.CLI]
}

// ErrNotTold means that a change is in effect but was not announced: open streams learn
// of it when their keys are verified the next time. Repeat the call to announce it.
var ErrNotTold = errors.New("keys: the change is in effect, and gateways could not be told")

// shown turns an error after which the secret works into a warning.
func shown(v View, err error) (View, error) {
	switch {
	case errors.Is(err, auth.ErrNotReplicated):
		v.Warning = "no replica has confirmed the key: if it stops working, make another"
	case errors.Is(err, ErrNotTold):
		v.Warning = "the servers could not be told at once: they notice within a minute"
	case err != nil:
		return View{}, err
	}
	return v, nil
}

// Create makes a key. The view is the only one with its secret.
func (r Registry) Create(ctx context.Context, description Patch) (View, error) {
	var key auth.Key
	if err := description.apply(&key); err != nil {
		return View{}, err
	}
	secret, made, err := auth.Issue(ctx, r.Store, key)
	if err != nil {
		return View{}, err // the secret was never shown: a new one is as good
	}
	v := view(made)
	v.Key = secret.Reveal()
	return shown(v, r.tell(ctx, auth.NewChange(auth.KeyCreated, made, r.By)))
}

// List returns up to limit keys, oldest first, that follow the key with the given id, or
// from the first if it is empty; see [auth.Store.List].
func (r Registry) List(ctx context.Context, after string, limit int) ([]View, error) {
	found, err := r.Store.List(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	views := make([]View, len(found))
	for i, key := range found {
		views[i] = view(key)
	}
	return views, nil
}

// Find returns the key with this id.
func (r Registry) Find(ctx context.Context, id string) (View, error) {
	key, err := r.Store.FindByID(ctx, id)
	if err != nil {
		return View{}, err
	}
	return view(key), nil
}

// Edit changes what a key may do. The revision is the one that the caller has read;
// [auth.ErrConflict] means that the key has another by now. 0 means any revision.
func (r Registry) Edit(ctx context.Context, id string, revision int64, p Patch) (View, error) {
	var refused error
	key, fields, err := auth.Edit(ctx, r.Store, id, revision, func(k *auth.Key) {
		edited := *k
		if refused = p.apply(&edited); refused == nil {
			*k = edited // all of it, or nothing
		}
	})
	if refused != nil {
		return View{}, refused
	}
	if key == nil {
		return View{}, err
	}
	change := auth.NewChange(auth.KeyEdited, key, r.By)
	change.Fields = fields
	return view(key), errors.Join(err, r.tell(ctx, change))
}

// Rotate gives a key a new secret. The view is the only one with it. The current secret
// continues to work for overlap.
func (r Registry) Rotate(ctx context.Context, id string, overlap time.Duration) (View, error) {
	secret, key, err := auth.Rotate(ctx, r.Store, id, auth.Rotation{Overlap: overlap})
	if key == nil {
		return View{}, err
	}
	v := view(key)
	v.Key = secret.Reveal()
	return shown(v, errors.Join(err, r.tell(ctx, auth.NewChange(auth.KeyRotated, key, r.By))))
}

// Revoke ends a key for good. Repeating it is harmless.
func (r Registry) Revoke(ctx context.Context, id string) (View, error) {
	key, err := r.Store.Revoke(ctx, id)
	if key == nil {
		return View{}, err
	}
	return view(key), errors.Join(err, r.tell(ctx, auth.NewChange(auth.KeyRevoked, key, r.By)))
}

// source is the source of the events that announce changes.
const source = "/keys"

// tellPatience bounds the attempts to announce a change, even after the caller has left.
const tellPatience = 2 * time.Second

// tell announces a change. A repeated change is announced once.
func (r Registry) tell(ctx context.Context, change auth.Change) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellPatience)
	defer cancel()
	data, err := json.Marshal(change)
	if err != nil {
		return err
	}
	receipts, err := r.Log.Append(ctx, auth.ControlLog, []eventlog.Event{{
		ID:       change.Key + "/" + strconv.FormatInt(change.Revision, 10) + "/" + string(change.Action),
		Source:   source,
		Type:     string(change.Action),
		Subject:  change.Key,
		Time:     change.Time.UTC().Format(time.RFC3339Nano),
		Merchant: auth.ControlLog,
		Data:     data,
	}})
	if err == nil {
		err = receipts[0].Err
	}
	if err != nil && !errors.Is(err, eventlog.ErrReused) { // its time differs, and nothing else
		return fmt.Errorf("%w: %w", ErrNotTold, err)
	}
	return nil
}
