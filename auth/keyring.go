package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// StaleLimit is how long after its last reading a cached key is still
	// believed while the store cannot be asked. Longer, and a revocation that
	// this process cannot hear of would be ignored for too long.
	StaleLimit = 60 * time.Second

	// retryAfter spares a store that has just failed, and the callers whose
	// cached keys it would only keep waiting.
	retryAfter = time.Second

	// unknownFor may be as it is because no one can have tried a secret before
	// it was minted.
	unknownFor = 2 * time.Second

	// merchantFor is long because merchants are not removed. That a merchant
	// is missing is not cached at all: it may be added the next moment.
	merchantFor = 60 * time.Second

	defaultTTL  = 2 * time.Second
	defaultSize = 10_000
)

// KeyringOptions say how a [Keyring] caches. The zero value is good.
type KeyringOptions struct {
	// TTL is how long a key is served without asking the store, and with it
	// how long a revocation may go unnoticed. Zero: 2 s.
	TTL time.Duration
	// Size is how many keys are cached at most, and as many hashes of unknown
	// secrets, and as many merchants. Zero: 10,000.
	Size int
}

// A Keyring recognises keys. It asks its store seldom: found keys are cached,
// callers who ask for the same key at once share one look-up, and a text that
// is no key is refused without any.
//
// Keys that do not exist are remembered apart from those that do, so that no
// flood of wrong ones can push out a good one.
type Keyring struct {
	store Store
	ttl   time.Duration

	known     *cache[Hash, held]
	unknown   *cache[Hash, time.Time] // when the store last denied it
	merchants *cache[string, time.Time]

	keyLookups      singleflight.Group
	merchantLookups singleflight.Group
}

// held is a cached key.
type held struct {
	key    *Key
	read   time.Time // when the store was asked for it
	failed time.Time // when the store last could not be asked; zero: it could
}

// NewKeyring returns a keyring for the keys and merchants of store.
func NewKeyring(store Store, opts KeyringOptions) *Keyring {
	if opts.TTL <= 0 {
		opts.TTL = defaultTTL
	}
	if opts.Size <= 0 {
		opts.Size = defaultSize
	}
	return &Keyring{
		store:     store,
		ttl:       opts.TTL,
		known:     newCache[Hash, held](opts.Size),
		unknown:   newCache[Hash, time.Time](opts.Size),
		merchants: newCache[string, time.Time](opts.Size),
	}
}

// Authenticate returns the key whose secret is text, or [ErrMalformed],
// [ErrUnknown], [ErrRevoked], [ErrExpired] or [ErrUnavailable]. Expiry is
// checked on every call, revocation as of the last look-up.
//
// While the store cannot be asked, keys read from it in the last [StaleLimit]
// are still recognised; of all others nothing is known, and they get
// ErrUnavailable.
func (r *Keyring) Authenticate(ctx context.Context, text string) (*Key, error) {
	secret, err := ParseSecret(text)
	if err != nil {
		return nil, err
	}
	key, err := r.find(ctx, secret.Hash())
	if err != nil {
		return nil, err
	}
	if err := key.Usable(time.Now()); err != nil {
		return nil, fmt.Errorf("%s: %w", key.ID, err)
	}
	return key, nil
}

func (r *Keyring) find(ctx context.Context, hash Hash) (*Key, error) {
	now := time.Now()
	if h, ok := r.known.get(hash); ok {
		if h.fresh(now, r.ttl) {
			return h.key, nil
		}
	} else if denied, ok := r.unknown.get(hash); ok && now.Sub(denied) < unknownFor {
		return nil, ErrUnknown
	}
	key, err := share(ctx, &r.keyLookups, string(hash[:]), func(ctx context.Context) (any, error) {
		return r.load(ctx, hash)
	})
	if err != nil {
		return nil, err
	}
	return key.(*Key), nil
}

// fresh reports whether the key may be served without asking the store.
func (h held) fresh(now time.Time, ttl time.Duration) bool {
	age := now.Sub(h.read)
	return age < ttl || age < StaleLimit && !h.failed.IsZero() && now.Sub(h.failed) < retryAfter
}

// load asks the store for a key and caches the answer. Its age counts from the
// question: what changed in between may have missed the answer.
func (r *Keyring) load(ctx context.Context, hash Hash) (*Key, error) {
	asked := time.Now()
	key, err := r.store.Find(ctx, hash)
	switch {
	case err == nil:
		r.known.put(hash, held{key: key, read: asked})
		r.unknown.drop(hash)
	case errors.Is(err, ErrUnknown):
		r.known.drop(hash)
		r.unknown.put(hash, asked)
	case errors.Is(err, ErrUnavailable):
		now := time.Now()
		if h, ok := r.known.get(hash); ok && now.Sub(h.read) < StaleLimit {
			h.failed = now
			r.known.put(hash, h)
			return h.key, nil
		}
	}
	return key, err
}

// MerchantExists reports whether a merchant has this name, as [Store] does. A
// merchant once seen is believed for a minute.
func (r *Keyring) MerchantExists(ctx context.Context, name string) (bool, error) {
	if !ValidMerchant(name) {
		return false, nil
	}
	if seen, ok := r.merchants.get(name); ok && time.Since(seen) < merchantFor {
		return true, nil
	}
	exists, err := share(ctx, &r.merchantLookups, name, func(ctx context.Context) (any, error) {
		asked := time.Now()
		exists, err := r.store.MerchantExists(ctx, name)
		if exists {
			r.merchants.put(name, asked)
		}
		return exists, err
	})
	if err != nil {
		return false, err
	}
	return exists.(bool), nil
}

// share runs ask once for all who call with the same key meanwhile. A caller
// whose context ends leaves the others their answer, so ask does not get that
// context's end; the store's own deadline bounds it.
func share(ctx context.Context, g *singleflight.Group, key string, ask func(context.Context) (any, error)) (any, error) {
	shared := context.WithoutCancel(ctx)
	answer := g.DoChan(key, func() (any, error) { return ask(shared) })
	select {
	case a := <-answer:
		return a.Val, a.Err
	case <-ctx.Done():
		return nil, fmt.Errorf("auth: wait for a look-up: %w", ctx.Err())
	}
}
