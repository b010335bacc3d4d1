package auth

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
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
	// how long a change may go unnoticed of which no notice comes. Zero: 2 s.
	TTL time.Duration
	// Size is how many keys are cached at most, as many of their secrets'
	// hashes, of unknown secrets' hashes, and of merchants. Zero: 10,000.
	Size int
}

// A Keyring recognises keys. It asks its store seldom: found keys are cached,
// callers who ask for the same key at once share one look-up, and a text that
// is no key is refused without any.
//
// What it has cached is never older than the last notice of a change
// ([Keyring.Apply]): a look-up that was under way when the notice came answers
// those who wait for it and nobody else.
//
// Keys that do not exist are remembered apart from those that do, so that no
// flood of wrong ones can push out a good one.
type Keyring struct {
	store Store
	ttl   time.Duration

	keyFlights      singleflight.Group
	merchantFlights singleflight.Group

	mu         sync.Mutex // guards the following
	generation uint64     // how many notices came
	keys       *cache[string, cachedKey]
	ids        *cache[Hash, string] // whose secret it is, or was
	unknown    *cache[Hash, time.Time]
	merchants  *cache[string, time.Time]
	used       map[string]time.Time // by id, since it was last written down
}

type cachedKey struct {
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
		keys:      newCache[string, cachedKey](opts.Size),
		ids:       newCache[Hash, string](opts.Size),
		unknown:   newCache[Hash, time.Time](opts.Size),
		merchants: newCache[string, time.Time](opts.Size),
		used:      map[string]time.Time{},
	}
}

// Authenticate returns the key whose secret is text, and the hash of the secret, by
// which [Keyring.Recognise] finds the key again. Its errors are [ErrMalformed],
// [ErrUnknown], [ErrRevoked], [ErrExpired] and [ErrUnavailable]. Expiry is checked
// on every call, all else as of the last look-up.
//
// While the store is unavailable, keys read from it in the last [StaleLimit] are
// still recognised; for all others the error is ErrUnavailable.
func (r *Keyring) Authenticate(ctx context.Context, text string) (*Key, Hash, error) {
	secret, err := ParseSecret(text)
	if err != nil {
		return nil, Hash{}, err
	}
	hash := secret.Hash()
	key, err := r.Recognise(ctx, hash)
	return key, hash, err
}

// Recognise is [Keyring.Authenticate] for somebody who has the hash of a secret
// and no longer the secret: an open stream, which is to end with the secret
// that opened it.
//
// A stream that is announced first, and then recognised, misses no change:
// either the notice finds it or it sees the change.
func (r *Keyring) Recognise(ctx context.Context, hash Hash) (*Key, error) {
	key, err := r.find(ctx, lookup{hash: hash})
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if err := key.UsableBy(hash, now); err != nil {
		return nil, fmt.Errorf("%s: %w", key.ID, err)
	}
	r.markUsed(key.ID, now)
	return key, nil
}

// Verify is [Keyring.Recognise] by the id of a key, for those who are there by
// no secret of it.
func (r *Keyring) Verify(ctx context.Context, id string) (*Key, error) {
	key, err := r.find(ctx, lookup{id: id})
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if err := key.Usable(now); err != nil {
		return nil, fmt.Errorf("%s: %w", key.ID, err)
	}
	r.markUsed(key.ID, now)
	return key, nil
}

// Apply takes notice of a change. Whoever asks for the key afterwards gets what
// the store has then.
func (r *Keyring) Apply(c Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.generation++
	r.keys.drop(c.Key)
	r.unknown.clear() // one of them may be its new secret
}

// Reset forgets all keys: it is for those who may have missed a notice.
func (r *Keyring) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.generation++
	r.keys.clear()
	r.ids.clear()
	r.unknown.clear()
}

// A lookup asks for a key: by the hash of a secret, or, if that is zero, by id.
type lookup struct {
	hash Hash
	id   string
}

// find answers from the cache, or asks the store.
func (r *Keyring) find(ctx context.Context, q lookup) (*Key, error) {
	generation, key, err := r.recall(q, time.Now())
	if key != nil || err != nil {
		return key, err
	}
	// Who comes after a notice does not join a look-up from before it.
	flight := strconv.FormatUint(generation, 10) + "h" + string(q.hash[:])
	if q.hash == (Hash{}) {
		flight = strconv.FormatUint(generation, 10) + "i" + q.id
	}
	answer, err := share(ctx, &r.keyFlights, flight, func(ctx context.Context) (any, error) {
		return r.load(ctx, q, generation)
	})
	if err != nil {
		return nil, err
	}
	return answer.(*Key), nil
}

// recall returns what is cached, if anything, and how many notices came so far.
func (r *Keyring) recall(q lookup, now time.Time) (generation uint64, key *Key, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h, ok := r.cached(q); ok && h.fresh(now, r.ttl) {
		return r.generation, h.key, nil
	}
	if denied, ok := r.unknown.get(q.hash); ok && now.Sub(denied) < unknownFor {
		return r.generation, nil, ErrUnknown
	}
	return r.generation, nil, nil
}

// cached is called with mu held.
func (r *Keyring) cached(q lookup) (cachedKey, bool) {
	if q.hash == (Hash{}) {
		return r.keys.get(q.id)
	}
	id, ok := r.ids.get(q.hash)
	if !ok {
		return cachedKey{}, false
	}
	return r.keys.get(id)
}

// fresh reports whether the key may be served without asking the store.
func (h cachedKey) fresh(now time.Time, ttl time.Duration) bool {
	age := now.Sub(h.read)
	return age < ttl || age < StaleLimit && !h.failed.IsZero() && now.Sub(h.failed) < retryAfter
}

// load asks the store for a key. The answer is cached if no notice has come
// since generation. Its age counts from the question: what changed in between
// may have missed the answer.
func (r *Keyring) load(ctx context.Context, q lookup, generation uint64) (*Key, error) {
	asked := time.Now()
	var key *Key
	var err error
	if q.hash == (Hash{}) {
		key, err = r.store.FindByID(ctx, q.id)
	} else {
		key, err = r.store.Find(ctx, q.hash)
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	switch current := generation == r.generation; {
	case err == nil && current:
		r.keep(q, cachedKey{key: key, read: asked})
	case errors.Is(err, ErrUnknown) && current:
		r.deny(q, asked)
	case errors.Is(err, ErrUnavailable):
		now := time.Now()
		if h, ok := r.cached(q); ok && now.Sub(h.read) < StaleLimit {
			h.failed = now
			r.keys.put(h.key.ID, h)
			return h.key, nil
		}
	}
	return key, err
}

// keep is called with mu held. Of two look-ups that overlap, the one that comes
// back last may have read first.
func (r *Keyring) keep(q lookup, h cachedKey) {
	if q.hash != (Hash{}) {
		r.ids.put(q.hash, h.key.ID)
		r.unknown.drop(q.hash)
	}
	if other, ok := r.keys.get(h.key.ID); ok && other.fresh(h.read, r.ttl) &&
		(other.key.Revision > h.key.Revision || !other.key.Revoked.IsZero()) {
		return
	}
	r.keys.put(h.key.ID, h)
}

// deny is called with mu held.
func (r *Keyring) deny(q lookup, asked time.Time) {
	if q.hash == (Hash{}) {
		r.keys.drop(q.id)
		return
	}
	r.ids.drop(q.hash)
	r.unknown.put(q.hash, asked)
}

// MerchantExists reports whether a merchant has this name, as [Store] does. A
// merchant once seen is believed for a minute.
func (r *Keyring) MerchantExists(ctx context.Context, name string) (bool, error) {
	if !ValidMerchant(name) {
		return false, nil
	}
	r.mu.Lock()
	seen, ok := r.merchants.get(name)
	r.mu.Unlock()
	if ok && time.Since(seen) < merchantFor {
		return true, nil
	}
	exists, err := share(ctx, &r.merchantFlights, name, func(ctx context.Context) (any, error) {
		asked := time.Now()
		exists, err := r.store.MerchantExists(ctx, name)
		if exists {
			r.mu.Lock()
			r.merchants.put(name, asked)
			r.mu.Unlock()
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
