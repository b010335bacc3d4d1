package auth

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/paylogic/pushserver/internal/base62"
)

// MaxPage is how many keys or names a [Store] lists in one call.
const MaxPage = 1_000

// A Store keeps keys, found by the hash of a secret or by id, and the names of
// merchants. Nothing is removed: a revoked key stays, so that its bearer can be told.
//
// Every call ends within a deadline of the store, independent of the caller's context.
// If the store cannot be reached, the error wraps [ErrUnavailable]; any other error not
// named here is a fault of the record or of the program. The store copies the keys that
// it takes and returns.
//
// A store with replicas can have each change confirmed by one. An unconfirmed change
// ends with [ErrNotReplicated] beside its result: it is in effect. Every change can be
// repeated; it is then confirmed and not made twice.
//
// [Issue], [Edit] and [Rotate] decide what a change may be; call those.
type Store interface {
	// Create keeps a key that [Issue] made, and its merchant's name. It fails if
	// another key has the hash of its secret or its id.
	Create(ctx context.Context, key *Key) error

	// CreateFirstAdmin is Create for a store without an admin's key, revoked
	// ones included, and reports whether it has kept the key. Of concurrent
	// calls one keeps its key. Called again with that key, it reports true again.
	CreateFirstAdmin(ctx context.Context, key *Key) (bool, error)

	// Find returns the key whose present secret, or secret before the last rotation,
	// has this hash, or [ErrUnknown]. The key may be revoked or expired.
	Find(ctx context.Context, hash Hash) (*Key, error)

	// FindByID returns the key with this id, revoked or not, or [ErrUnknown].
	FindByID(ctx context.Context, id string) (*Key, error)

	// List returns up to limit keys, oldest first, that follow the key with the given
	// id, or [ErrUnknown] if there is no such key; without an id, from the first. A
	// limit outside 1 to [MaxPage] means MaxPage. Fewer keys than the limit means that
	// there are no more.
	List(ctx context.Context, after string, limit int) ([]*Key, error)

	// Replace keeps a key in place of its previous revision, with the hashes of its
	// secrets. It fails with [ErrUnknown], [ErrRevoked], or [ErrConflict] if the store
	// has another revision; also if another key has the hash of its secret.
	Replace(ctx context.Context, key *Key) error

	// Revoke marks the key with this id as revoked now, unless it is revoked already.
	// It returns the key with the time of its first revocation, or [ErrUnknown].
	Revoke(ctx context.Context, id string) (*Key, error)

	// MarkUsed stores when keys, by id, were last used. A time before the stored one
	// is ignored. MarkUsed waits for no replica.
	MarkUsed(ctx context.Context, at map[string]time.Time) error

	// MerchantExists reports whether the merchant has a key or was added.
	MerchantExists(ctx context.Context, name string) (bool, error)

	// AddMerchant makes the merchant exist. An invalid name (see [ValidMerchant]) is a
	// [*FieldError].
	AddMerchant(ctx context.Context, name string) error

	// Merchants returns up to limit names, in byte order, that follow the given one,
	// which need not exist. The limit is as for List.
	Merchants(ctx context.Context, after string, limit int) ([]string, error)
}

// Issue makes the described key, keeps it in store, and returns its secret, which is
// stored nowhere else, with the complete record. It uses only the fields that
// [Key.Validate] checks, and cuts times to milliseconds.
//
// An invalid description is refused with a [*FieldError]. After [ErrUnavailable] and
// [ErrNotReplicated] a key may remain whose secret is lost.
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

// describe returns the described key as a new one.
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

// AllKeys lists every key of a store, oldest first. It ends after an error.
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

// timestamp returns the present time as records keep it.
func timestamp() time.Time { return cutTime(time.Now()) }

// cutTime returns t as records keep it.
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
