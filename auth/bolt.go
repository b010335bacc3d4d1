package auth

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"time"

	"go.etcd.io/bbolt"

	"github.com/paylogic/pushserver/internal/boltfile"
)

const (
	// boltLayout says what the file of a BoltStore holds. Another form gets
	// another number.
	boltLayout = "keys 2"

	boltTimeout = 5 * time.Second
)

// The buckets of a BoltStore's file. A revocation and a last use lie beside the
// record, for the reason that a [record] gives.
var (
	boltRecords   = []byte("records")   // id → record
	boltRevoked   = []byte("revoked")   // id → time of revocation (ms)
	boltUsed      = []byte("used")      // id → time of the last use (ms)
	boltSecrets   = []byte("secrets")   // hash of a secret → id
	boltOrder     = []byte("order")     // creation (ms) and id → id
	boltMerchants = []byte("merchants") // name → boltThere
)

// boltThere is the value of what has none: an empty one is easily taken for one
// that is missing.
var boltThere = []byte{1}

// A BoltStore is a [Store] in one file of this machine, for a single process.
// What a call has changed when it returns is on the disk.
//
// Keys have a file of their own, apart from events. A new key then never waits
// for a thousand events, damage to the file of events locks no caller out, and a
// copy of the keys is small.
type BoltStore struct{ file *boltfile.File }

// OpenBoltStore opens the store in the file at path, or makes it, in a
// directory that exists. It fails if another process has it open, or if the file
// holds something else; the error says what to do.
func OpenBoltStore(path string) (*BoltStore, error) {
	file, err := boltfile.Open(path, boltLayout)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	s := &BoltStore{file}
	if err := s.makeBuckets(); err != nil {
		return nil, errors.Join(fmt.Errorf("auth: %w", err), file.Close())
	}
	return s, nil
}

// makeBuckets makes the buckets that are missing. If none is, it writes nothing.
func (s *BoltStore) makeBuckets() error {
	kinds := [][]byte{boltRecords, boltRevoked, boltUsed, boltSecrets, boltOrder, boltMerchants}
	missing := false
	err := s.file.View(func(tx *bbolt.Tx) error {
		for _, kind := range kinds {
			missing = missing || tx.Bucket(kind) == nil
		}
		return nil
	})
	if err != nil || !missing {
		return err
	}
	return s.file.Update(func(tx *bbolt.Tx) error {
		for _, kind := range kinds {
			if _, err := tx.CreateBucketIfNotExists(kind); err != nil {
				return err
			}
		}
		return nil
	})
}

// Close closes the file. Calls after it fail.
func (s *BoltStore) Close() error { return s.file.Close() }

// Create implements [Store].
func (s *BoltStore) Create(ctx context.Context, key *Key) error {
	_, err := s.create(ctx, key, false)
	return err
}

// CreateFirstAdmin implements [Store].
func (s *BoltStore) CreateFirstAdmin(ctx context.Context, key *Key) (bool, error) {
	return s.create(ctx, key, true)
}

// create reports whether the file has the key now. A key that must be the first
// admin's is not kept beside another.
func (s *BoltStore) create(ctx context.Context, key *Key, firstAdmin bool) (bool, error) {
	text, err := encodeRecord(key)
	if err != nil {
		return false, fmt.Errorf("auth: encode %s: %w", key.ID, err)
	}
	key = key.clone() // the caller's may change once it is not waited for
	id := []byte(key.ID)
	return inBolt(ctx, s.file.Update, "create "+key.ID, func(tx *bbolt.Tx) (bool, error) {
		kept, owner := tx.Bucket(boltRecords).Get(id), tx.Bucket(boltSecrets).Get(key.secret[:])
		if bytes.Equal(kept, text) && bytes.Equal(owner, id) {
			return true, nil
		}
		if firstAdmin {
			if found, err := boltHasAdmin(tx); found || err != nil {
				return false, err
			}
		}
		if kept != nil || owner != nil {
			return false, errors.New("it is there already")
		}
		puts := []boltPut{
			{boltRecords, id, text},
			{boltSecrets, key.secret[:], id},
			{boltOrder, boltOrderOf(key), id},
		}
		if key.Merchant != "" {
			puts = append(puts, boltPut{boltMerchants, []byte(key.Merchant), boltThere})
		}
		return true, putAll(tx, puts)
	})
}

// boltHasAdmin reads records from the oldest, where an admin's key usually is.
func boltHasAdmin(tx *bbolt.Tx) (bool, error) {
	c := tx.Bucket(boltOrder).Cursor()
	for at, id := c.First(); at != nil; at, id = c.Next() {
		key, err := boltKeyOf(tx, id)
		if err != nil || key.Kind == Adm {
			return err == nil, err
		}
	}
	return false, nil
}

// Find implements [Store].
func (s *BoltStore) Find(ctx context.Context, hash Hash) (*Key, error) {
	return inBolt(ctx, s.file.View, "find a key", func(tx *bbolt.Tx) (*Key, error) {
		return boltKeyOf(tx, tx.Bucket(boltSecrets).Get(hash[:]))
	})
}

// FindByID implements [Store].
func (s *BoltStore) FindByID(ctx context.Context, id string) (*Key, error) {
	return inBolt(ctx, s.file.View, "find "+id, func(tx *bbolt.Tx) (*Key, error) {
		return boltKeyOf(tx, []byte(id))
	})
}

// List implements [Store].
func (s *BoltStore) List(ctx context.Context, after string, limit int) ([]*Key, error) {
	return inBolt(ctx, s.file.View, "list keys", func(tx *bbolt.Tx) ([]*Key, error) {
		c := tx.Bucket(boltOrder).Cursor()
		at, id := c.First()
		if after != "" {
			last, err := boltKeyOf(tx, []byte(after))
			if err != nil {
				return nil, err
			}
			c.Seek(boltOrderOf(last))
			at, id = c.Next()
		}
		var keys []*Key
		for ; at != nil && len(keys) < pageSize(limit); at, id = c.Next() {
			key, err := boltKeyOf(tx, id)
			if err != nil {
				return nil, err
			}
			keys = append(keys, key)
		}
		return keys, nil
	})
}

// Replace implements [Store].
func (s *BoltStore) Replace(ctx context.Context, key *Key) error {
	text, err := encodeRecord(key)
	if err != nil {
		return fmt.Errorf("auth: encode %s: %w", key.ID, err)
	}
	key = key.clone()
	id := []byte(key.ID)
	_, err = inBolt(ctx, s.file.Update, "replace "+key.ID, func(tx *bbolt.Tx) (none struct{}, err error) {
		kept, err := boltKeyOf(tx, id)
		if err != nil {
			return none, err
		}
		if err := replaces(kept, key); err != nil {
			return none, err
		}
		secrets := tx.Bucket(boltSecrets)
		if owner := secrets.Get(key.secret[:]); owner != nil && !bytes.Equal(owner, id) {
			return none, errors.New("its secret is another key's")
		}
		for _, ended := range []Hash{kept.secret, kept.former} {
			if err := secrets.Delete(ended[:]); err != nil {
				return none, err
			}
		}
		puts := []boltPut{{boltRecords, id, text}, {boltSecrets, key.secret[:], id}}
		if key.former != (Hash{}) {
			puts = append(puts, boltPut{boltSecrets, key.former[:], id})
		}
		return none, putAll(tx, puts)
	})
	return err
}

// Revoke implements [Store].
func (s *BoltStore) Revoke(ctx context.Context, id string) (*Key, error) {
	return inBolt(ctx, s.file.Update, "revoke "+id, func(tx *bbolt.Tx) (*Key, error) {
		key, err := boltKeyOf(tx, []byte(id))
		if err != nil || !key.Revoked.IsZero() {
			return key, err
		}
		key.Revoked = timestamp()
		return key, tx.Bucket(boltRevoked).Put([]byte(id), boltTime(key.Revoked))
	})
}

// MarkUsed implements [Store].
func (s *BoltStore) MarkUsed(ctx context.Context, at map[string]time.Time) error {
	at = maps.Clone(at)
	_, err := inBolt(ctx, s.file.Update, "note the use of keys", func(tx *bbolt.Tx) (none struct{}, err error) {
		used := tx.Bucket(boltUsed)
		for id, now := range at {
			noted, err := timeOfBolt(used.Get([]byte(id)))
			if err == nil && now.After(noted) {
				err = used.Put([]byte(id), boltTime(now))
			}
			if err != nil {
				return none, fmt.Errorf("last use of %s: %w", id, err)
			}
		}
		return none, nil
	})
	return err
}

// MerchantExists implements [Store].
func (s *BoltStore) MerchantExists(ctx context.Context, name string) (bool, error) {
	return inBolt(ctx, s.file.View, "find a merchant", func(tx *bbolt.Tx) (bool, error) {
		return tx.Bucket(boltMerchants).Get([]byte(name)) != nil, nil
	})
}

// AddMerchant implements [Store].
func (s *BoltStore) AddMerchant(ctx context.Context, name string) error {
	if err := checkMerchantName(name); err != nil {
		return err
	}
	_, err := inBolt(ctx, s.file.Update, "add a merchant", func(tx *bbolt.Tx) (none struct{}, err error) {
		return none, tx.Bucket(boltMerchants).Put([]byte(name), boltThere)
	})
	return err
}

// Merchants implements [Store].
func (s *BoltStore) Merchants(ctx context.Context, after string, limit int) ([]string, error) {
	return inBolt(ctx, s.file.View, "list merchants", func(tx *bbolt.Tx) ([]string, error) {
		c := tx.Bucket(boltMerchants).Cursor()
		name, _ := c.Seek([]byte(after))
		if string(name) == after {
			name, _ = c.Next()
		}
		var names []string
		for ; name != nil && len(names) < pageSize(limit); name, _ = c.Next() {
			names = append(names, string(name))
		}
		return names, nil
	})
}

// A boltPut is what goes under a key of a bucket.
type boltPut struct{ bucket, key, value []byte }

func putAll(tx *bbolt.Tx, puts []boltPut) error {
	for _, p := range puts {
		if err := tx.Bucket(p.bucket).Put(p.key, p.value); err != nil {
			return err
		}
	}
	return nil
}

// boltKeyOf returns the key with this id, or [ErrUnknown].
func boltKeyOf(tx *bbolt.Tx, id []byte) (*Key, error) {
	text := tx.Bucket(boltRecords).Get(id)
	if text == nil {
		return nil, ErrUnknown
	}
	key, err := decodeRecord(string(text))
	if err != nil {
		return nil, err
	}
	if key.Revoked, err = timeOfBolt(tx.Bucket(boltRevoked).Get(id)); err != nil {
		return nil, fmt.Errorf("auth: time of revocation of %s: %w", key.ID, err)
	}
	if key.LastUsed, err = timeOfBolt(tx.Bucket(boltUsed).Get(id)); err != nil {
		return nil, fmt.Errorf("auth: time of last use of %s: %w", key.ID, err)
	}
	return key, nil
}

// boltOrderOf returns what orders a key as compareKeys does.
func boltOrderOf(key *Key) []byte {
	const sign = 1 << 63 // so that times before 1970 come first
	at := uint64(key.Created.UnixMilli()) ^ sign
	return append(binary.BigEndian.AppendUint64(nil, at), key.ID...)
}

func boltTime(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(t.UnixMilli()))
}

// timeOfBolt reads what [boltTime] returns; nothing is no time.
func timeOfBolt(at []byte) (time.Time, error) {
	switch len(at) {
	case 0:
		return time.Time{}, nil
	case 8:
		return time.UnixMilli(int64(binary.BigEndian.Uint64(at))).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("%d bytes", len(at))
}

// inBolt has do called in a transaction of transact, and returns what it
// returns. A disk that hangs cannot be interrupted, but it is not waited for.
func inBolt[T any](ctx context.Context, transact func(func(*bbolt.Tx) error) error, what string,
	do func(*bbolt.Tx) (T, error),
) (T, error) {
	type answer struct {
		value T
		err   error
	}
	ctx, cancel := context.WithTimeout(ctx, boltTimeout)
	defer cancel()
	answers := make(chan answer, 1)
	go func() {
		var a answer
		a.err = transact(func(tx *bbolt.Tx) (err error) {
			a.value, err = do(tx)
			return err
		})
		answers <- a
	}()
	var none T
	select {
	case a := <-answers:
		switch {
		case a.err == nil:
			return a.value, nil
		case errors.Is(a.err, boltfile.ErrUnavailable), errors.Is(a.err, boltfile.ErrUnsure):
			return none, fmt.Errorf("%s: %w: %w", what, ErrUnavailable, a.err)
		}
		return none, fmt.Errorf("auth: %s: %w", what, a.err)
	case <-ctx.Done():
		return none, fmt.Errorf("%s: %w: %w", what, ErrUnavailable, ctx.Err())
	}
}
