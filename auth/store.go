package auth

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// MaxPage is how many keys or names a [Store] lists at a time.
const MaxPage = 1_000

// A Store keeps keys, each under the hash of its secret, and merchants' names.
// Nothing is ever removed: a revoked key stays, so that its bearer can be told.
//
// Every call ends within a deadline of the store's own, the caller's context
// apart. A store that cannot be asked says so with an error that wraps
// [ErrUnavailable]; any other error not named here is a fault of the record or
// of the program. Keys that go in and come out are the caller's own copies.
type Store interface {
	// Create keeps a key that [Issue] has made, and its merchant's name. It
	// fails if the hash or the id is there already.
	Create(ctx context.Context, hash Hash, key *Key) error

	// Find returns the key of this hash, revoked or not, or [ErrUnknown].
	Find(ctx context.Context, hash Hash) (*Key, error)

	// List returns up to limit keys, oldest first, that come after the one
	// whose id is given, or [ErrUnknown] if that one is not there; with no id,
	// from the first. A limit outside 1 to [MaxPage] means MaxPage. Fewer keys
	// than the limit means that there were no more.
	List(ctx context.Context, after string, limit int) ([]*Key, error)

	// Revoke marks the key with this id as revoked now, if it is not already,
	// and returns it with the time of its first revocation, or [ErrUnknown].
	Revoke(ctx context.Context, id string) (*Key, error)

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
// secret, which is nowhere else, with the complete record. ID, Created and
// Revoked of the description are not looked at; times are cut to milliseconds.
//
// A description that cannot stand is refused with a [*FieldError].
func Issue(ctx context.Context, store Store, description Key) (Secret, *Key, error) {
	key := description.clone()
	key.ID = "key_" + randomText(16)
	key.Created = timestamp()
	key.Revoked = time.Time{}
	if !key.Expires.IsZero() {
		key.Expires = key.Expires.UTC().Truncate(time.Millisecond)
	}
	if err := key.Validate(key.Created); err != nil {
		return Secret{}, nil, err
	}

	secret := Mint(key.Kind)
	if err := store.Create(ctx, secret.Hash(), key); err != nil {
		return Secret{}, nil, fmt.Errorf("issue %s: %w", key.ID, err)
	}
	return secret, key, nil
}

// AllKeys lists every key of a store, oldest first, a page at a time. After an
// error it ends.
func AllKeys(ctx context.Context, store Store) iter.Seq2[*Key, error] {
	return pages(func(after *Key) ([]*Key, error) {
		if after == nil {
			return store.List(ctx, "", MaxPage)
		}
		return store.List(ctx, after.ID, MaxPage)
	})
}

// AllMerchants lists every merchant of a store in byte order, a page at a
// time. After an error it ends.
func AllMerchants(ctx context.Context, store Store) iter.Seq2[string, error] {
	return pages(func(after string) ([]string, error) {
		return store.Merchants(ctx, after, MaxPage)
	})
}

// pages yields what page returns for the last item of the page before, the
// zero item at first, until a page is not full.
func pages[T any](page func(after T) ([]T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var last T
		for {
			items, err := page(last)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if len(items) < MaxPage {
				return
			}
			last = items[len(items)-1]
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
func timestamp() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

func checkMerchantName(name string) error {
	if !ValidMerchant(name) {
		return &FieldError{"merchant", "must be 1 to 64 characters of a-z, 0-9 and -"}
	}
	return nil
}

var _, _, _ Store = (*MemoryStore)(nil), (*BoltStore)(nil), (*RedisStore)(nil)
