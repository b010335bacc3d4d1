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

// A Registry makes, shows and changes keys, in the name of somebody.
//
// A change has happened, and every gateway is about to hear of it, when a call
// returns without an error. Errors are those of package auth, and [ErrNotTold].
// After [auth.ErrNotReplicated] and ErrNotTold the change is in effect, and asking
// for it again is safe. A secret that was made would be lost with an error: it is
// shown with a [View.Warning] instead.
type Registry struct {
	Store auth.Store
	Log   eventlog.Log
	By    string // id of the key that asks, or [auth.CLI]
}

// ErrNotTold means that a change was made and could not be announced: it is in
// effect, and open streams learn of it only when their keys are verified the next
// time. Asking for it again announces it.
var ErrNotTold = errors.New("keys: the change is in effect, and gateways could not be told")

// shown returns what was made although err says that it is not safe.
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

// Create makes a key, and shows its secret for the only time.
func (r Registry) Create(ctx context.Context, description Patch) (View, error) {
	var key auth.Key
	if err := description.apply(&key); err != nil {
		return View{}, err
	}
	secret, made, err := auth.Issue(ctx, r.Store, key)
	if err != nil {
		return View{}, err // nobody has seen the secret: another is made as well
	}
	v := view(made)
	v.Key = secret.Reveal()
	return shown(v, r.tell(ctx, auth.NewChange(auth.KeyCreated, made, r.By)))
}

// List returns up to limit keys, oldest first, that come after the one whose id
// is given, or with no id from the first; as [auth.Store.List] does.
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

// Edit changes what a key may do. The revision is the one that the caller has
// seen, and [auth.ErrConflict] says that there is another by now; 0 is for a
// caller who has seen none.
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

// Rotate gives a key another secret and shows it for the only time. The one of
// now goes on working for overlap.
func (r Registry) Rotate(ctx context.Context, id string, overlap time.Duration) (View, error) {
	secret, key, err := auth.Rotate(ctx, r.Store, id, auth.Rotation{Overlap: overlap})
	if key == nil {
		return View{}, err
	}
	v := view(key)
	v.Key = secret.Reveal()
	return shown(v, errors.Join(err, r.tell(ctx, auth.NewChange(auth.KeyRotated, key, r.By))))
}

// Revoke takes a key back, for good. Once more does no harm.
func (r Registry) Revoke(ctx context.Context, id string) (View, error) {
	key, err := r.Store.Revoke(ctx, id)
	if key == nil {
		return View{}, err
	}
	return view(key), errors.Join(err, r.tell(ctx, auth.NewChange(auth.KeyRevoked, key, r.By)))
}

// source is what changes are published as.
const source = "/keys"

// tellPatience is how long a change that was made is tried to be told, also if
// whoever asked for it has left.
const tellPatience = 2 * time.Second

// tell announces a change. A change that is asked for again is told once.
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
