package auth

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/paylogic/pushserver/internal/base62"
)

// MaxPage is how many keys or names a [Store] lists at a time.
const MaxPage = 1_000

// A Store keeps keys, each to be found by the hash of its secret and by its id,
// and merchants' names. Nothing is ever removed: a revoked key stays, so that
// its bearer can be told.
//
// Every call ends within a deadline of the store's own, the caller's context
// apart. A store that cannot be asked says so with an error that wraps
// [ErrUnavailable]; any other error not named here is a fault of the record or
// of the program. Keys that go in and come out are the caller's own copies.
//
// A store with replicas may be told to have every change confirmed by one.
// Without the confirmation a change ends with [ErrNotReplicated] beside its
// result: it is in effect. Every change can be asked for again, as it was, and
// is then confirmed and not made twice.
//
// What a change of a key must be like is decided by [Issue], [Edit] and
// [Rotate]; call those.
type Store interface {
	// Create keeps a key that [Issue] has made, and its merchant's name. It
	// fails if another key has the hash of its secret or its id.
	Create(ctx context.Context, key *Key) error

	// CreateFirstAdmin is Create for a store without an admin's key, revoked
	// ones included, and reports whether it has kept the key. Of concurrent
	// calls one keeps its key. Called again with that key, it reports true again.
	CreateFirstAdmin(ctx context.Context, key *Key) (bool, error)

	// Find returns the key whose secret has this hash, or whose secret before
	// the last rotation had, revoked or not and at an end or not, or
	// [ErrUnknown].
	Find(ctx context.Context, hash Hash) (*Key, error)

	// FindByID returns the key with this id, revoked or not, or [ErrUnknown].
	FindByID(ctx context.Context, id string) (*Key, error)

	// List returns up to limit keys, oldest first, that come after the one
	// whose id is given, or [ErrUnknown] if that one is not there; with no id,
	// from the first. A limit outside 1 to [MaxPage] means MaxPage. Fewer keys
	// than the limit means that there were no more.
	List(ctx context.Context, after string, limit int) ([]*Key, error)

	// Replace keeps a key instead of the revision before it, with the hashes
	// of its secrets. It fails with [ErrUnknown], with [ErrRevoked], with
	// [ErrConflict] if another revision is there, and if another key has the
	// hash of its secret.
	Replace(ctx context.Context, key *Key) error

	// Revoke marks the key with this id as revoked now, if it is not already,
	// and returns it with the time of its first revocation, or [ErrUnknown].
	Revoke(ctx context.Context, id string) (*Key, error)

	// MarkUsed notes when keys, by their ids, were last used. An earlier time
	// than the one noted is overlooked. No replica is waited for.
	MarkUsed(ctx context.Context, at map[string]time.Time) error

	// MerchantExists reports whether the merchant has a key or was added.
	MerchantExists(ctx context.Context, name string) (bool, error)

	// AddMerchant makes the merchant exist, if it does not already. The name
	// must be a [ValidMerchant]; otherwise the error is a [*FieldError].
	AddMerchant(ctx context.Context, name string) error

	// Merchants returns up to limit names in byte order that come after the
	// one given, which need not exist. The limit is that of List.
	Merchants(ctx context.Context, after string, limit int) ([]string, error)
}

// Issue makes the key that is described, keeps it in store, and returns its
// secret, which is nowhere else, with the complete record. Of the description
// only what [Key.Validate] looks at counts; times are cut to milliseconds.
//
// A description that cannot stand is refused with a [*FieldError]. After
// [ErrUnavailable] and [ErrNotReplicated] a key may stay behind whose secret
// nobody has.
func Issue(ctx context.Context, store Store, description Key) (Secret, *Key, error) {
	secret, key, err := describe(description)
	if err != nil {
		return Secret{}, nil, err
	}
	if err := store.Create(ctx, key); err != nil {
		return Secret{}, nil, fmt.Errorf("issue %s: %w", key.ID, err)
	}
	return secret, key, nil
}

// describe returns the key that is described, as it is when new.
func describe(description Key) (Secret, *Key, error) {
	key := description.clone()
	key.ID = "key_" + base62.Random(16)
	key.Revision = 1
	key.Created = timestamp()
	key.Revoked, key.FormerUntil, key.LastUsed = time.Time{}, time.Time{}, time.Time{}
	key.former = Hash{}
	key.Expires = cutTime(key.Expires)
	if err := key.Validate(key.Created); err != nil {
		return Secret{}, nil, err
	}
	secret := Mint(key.Kind)
	key.secret = secret.Hash()
	return secret, key, nil
}

// AllKeys lists every key of a store, oldest first, a page at a time. After an
// error it ends.
func AllKeys(ctx context.Context, store Store) iter.Seq2[*Key, error] {
	return func(yield func(*Key, error) bool) {
		after := ""
		for {
			page, err := store.List(ctx, after, MaxPage)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, key := range page {
				if !yield(key, nil) {
					return
				}
				after = key.ID
			}
			if len(page) < MaxPage {
				return
			}
		}
	}
}

func pageSize(limit int) int {
	if limit < 1 || limit > MaxPage {
		return MaxPage
	}
	return limit
}

// timestamp is the time as records keep it.
func timestamp() time.Time { return cutTime(time.Now()) }

// cutTime returns a time as records keep it.
func cutTime(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

func checkMerchantName(name string) error {
	if !ValidMerchant(name) {
		return &FieldError{"merchant", "must be 1 to 64 characters from a-z, 0-9 and -"}
	}
	return nil
}

var _, _, _ Store = (*MemoryStore)(nil), (*BoltStore)(nil), (*RedisStore)(nil)
