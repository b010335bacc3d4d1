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
	// StaleLimit is how long after it was read a cached key is used while the store
	// is unavailable. A longer time would ignore revocations for too long.
	StaleLimit = 60 * time.Second

	// retryAfter is the pause after the store has failed. It spares the store, and
	// callers whose keys are cached need not wait for it.
	retryAfter = time.Second

	// unknownFor is how long an unknown secret is remembered. That is safe: no
	// caller can have tried a secret before it was minted.
	unknownFor = 2 * time.Second

	// merchantFor is long because merchants are never removed. A missing merchant
	// is not cached: it may be added at any moment.
	merchantFor = 60 * time.Second

	defaultTTL  = 2 * time.Second
	defaultSize = 10_000
)

// KeyringOptions configure the cache of a [Keyring]. The zero value is good.
type KeyringOptions struct {
	// TTL is how long a key is served from the cache. It also bounds how long a
	// change goes unnoticed when its notice is lost. Zero: 2 s.
	TTL time.Duration
	// Size bounds each cache: keys, secret hashes, unknown hashes, merchants. Zero:
	// 10,000.
	Size int
}

// A Keyring finds keys and rarely asks its store: it caches keys, concurrent callers
// share one look-up of a key, and malformed keys need no look-up.
//
// A cached key is never older than the last notice of a change ([Keyring.Apply]). A
// look-up in progress when a notice arrives answers only the callers that already wait
// for it.
//
// Unknown keys have a cache of their own, so a flood of wrong keys cannot evict a good
// one.
type Keyring struct {
	store Store
	ttl   time.Duration

	keyFlights      singleflight.Group
	merchantFlights singleflight.Group

	mu         sync.Mutex // guards the following
	generation uint64     // the number of notices
	keys       *cache[string, cachedKey]
	ids        *cache[Hash, string] // by the hash of a present or former secret
	unknown    *cache[Hash, time.Time]
	merchants  *cache[string, time.Time]
	used       map[string]time.Time // by id, not yet stored
}

type cachedKey struct {
	key    *Key
	read   time.Time // when it was requested from the store
	failed time.Time // when the store last failed to answer; zero: it answered
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

// Authenticate returns the key whose secret is text, and the hash of the secret for
// later calls of [Keyring.Recognise]. Its errors are [ErrMalformed], [ErrUnknown],
// [ErrRevoked], [ErrExpired] and [ErrUnavailable]. Expiry is checked on every call,
// everything else at the last look-up.
//
// While the store is unavailable, keys read from it within [StaleLimit] are still
// accepted; for all others the error is ErrUnavailable.
func (r *Keyring) Authenticate(ctx context.Context, text string) (*Key, Hash, error) {
	secret, err := ParseSecret(text)
	if err != nil {
		return nil, Hash{}, err
	}
	hash := secret.Hash()
	key, err := r.Recognise(ctx, hash)
	return key, hash, err
}

// Recognise is [Keyring.Authenticate] for a caller that kept the hash of a secret and
// not the secret, such as an open stream, which ends with the secret that opened it.
//
// Register a stream first, then call Recognise: each change is then either announced
// to the stream or visible in the result.
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

// Verify is [Keyring.Recognise] by the id of a key, for a caller without a secret.
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

// Apply processes the notice of a change. Later calls return what the store has at
// that time.
func (r *Keyring) Apply(c Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.generation++
	r.keys.drop(c.Key)
	r.unknown.clear() // one may be the key's new secret
}

// Reset forgets all keys. Call it when a notice may have been missed.
func (r *Keyring) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.generation++
	r.keys.clear()
	r.ids.clear()
	r.unknown.clear()
}

// A lookup is for a key by the hash of a secret or, if that is zero, by id.
type lookup struct {
	hash Hash
	id   string
}

func (r *Keyring) find(ctx context.Context, q lookup) (*Key, error) {
	generation, key, err := r.recall(q, time.Now())
	if key != nil || err != nil {
		return key, err
	}
	// A caller after a notice does not join a look-up from before it.
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

// recall returns the cached answer, if any, and the number of notices so far.
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

func (h cachedKey) fresh(now time.Time, ttl time.Duration) bool {
	age := now.Sub(h.read)
	return age < ttl || age < StaleLimit && !h.failed.IsZero() && now.Sub(h.failed) < retryAfter
}

// load asks the store for a key. It caches the answer if no notice has arrived since
// generation. The age of an answer counts from the request: a change made after that
// may be missing in the answer.
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

// keep is called with mu held. If two look-ups overlap, the one that returns last may
// have read first.
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

// MerchantExists reports whether there is a merchant of this name, as [Store] does. A
// positive answer is cached for a minute.
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

// share runs ask once for all concurrent calls with the same key. A caller whose
// context ends must not cancel ask for the others, so ask runs without that
// cancellation; the store's deadline bounds it.
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
