package auth

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/paylogic/pushserver/boltfile"
)

const (
	// boltLayout says what the file of a BoltStore holds. Another form gets
	// another number.
	boltLayout = "keys 1"

	boltTimeout = 5 * time.Second
)

// The buckets of a BoltStore's file. A revocation lies beside its record, for
// the reason that a [record] gives.
var (
	boltRecords   = []byte("records")   // hash → record
	boltRevoked   = []byte("revoked")   // hash → time of revocation (ms)
	boltIDs       = []byte("ids")       // id → hash; an entry never changes
	boltOrder     = []byte("order")     // creation (ms) and id → hash
	boltMerchants = []byte("merchants") // name → boltThere
)

// boltThere is the value of what has none: an empty one is easily taken for one
// that is missing.
var boltThere = []byte{1}

// A BoltStore is a [Store] in one file of this machine, for a single process.
// What a call has changed when it returns is on the disk.
//
// The file is its own. Events lie in another, although one would do: a new key
// then never waits for a thousand events, what damages the file of events locks
// nobody out, and a copy of the keys is small.
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
	kinds := [][]byte{boltRecords, boltRevoked, boltIDs, boltOrder, boltMerchants}
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
func (s *BoltStore) Create(ctx context.Context, hash Hash, key *Key) error {
	text, err := encodeRecord(key)
	if err != nil {
		return fmt.Errorf("auth: encode %s: %w", key.ID, err)
	}
	id, merchant, order := key.ID, key.Merchant, boltOrderOf(key)
	_, err = inBolt(ctx, s.file.Update, "create "+id, func(tx *bbolt.Tx) (none struct{}, err error) {
		if tx.Bucket(boltRecords).Get(hash[:]) != nil || tx.Bucket(boltIDs).Get([]byte(id)) != nil {
			return none, errors.New("it is there already")
		}
		puts := []struct{ bucket, key, value []byte }{
			{boltRecords, hash[:], text},
			{boltIDs, []byte(id), hash[:]},
			{boltOrder, order, hash[:]},
		}
		if merchant != "" {
			puts = append(puts, struct{ bucket, key, value []byte }{boltMerchants, []byte(merchant), boltThere})
		}
		for _, p := range puts {
			if err := tx.Bucket(p.bucket).Put(p.key, p.value); err != nil {
				return none, err
			}
		}
		return none, nil
	})
	return err
}

// Find implements [Store].
func (s *BoltStore) Find(ctx context.Context, hash Hash) (*Key, error) {
	return inBolt(ctx, s.file.View, "find a key", func(tx *bbolt.Tx) (*Key, error) {
		return boltKeyOf(tx, hash[:])
	})
}

// List implements [Store].
func (s *BoltStore) List(ctx context.Context, after string, limit int) ([]*Key, error) {
	return inBolt(ctx, s.file.View, "list keys", func(tx *bbolt.Tx) ([]*Key, error) {
		c := tx.Bucket(boltOrder).Cursor()
		at, hash := c.First()
		if after != "" {
			last, err := boltKeyOf(tx, tx.Bucket(boltIDs).Get([]byte(after)))
			if err != nil {
				return nil, err
			}
			c.Seek(boltOrderOf(last))
			at, hash = c.Next()
		}
		var keys []*Key
		for ; at != nil && len(keys) < pageSize(limit); at, hash = c.Next() {
			key, err := boltKeyOf(tx, hash)
			if err != nil {
				return nil, err
			}
			keys = append(keys, key)
		}
		return keys, nil
	})
}

// Revoke implements [Store].
func (s *BoltStore) Revoke(ctx context.Context, id string) (*Key, error) {
	return inBolt(ctx, s.file.Update, "revoke "+id, func(tx *bbolt.Tx) (*Key, error) {
		hash := tx.Bucket(boltIDs).Get([]byte(id))
		key, err := boltKeyOf(tx, hash)
		if err != nil || !key.Revoked.IsZero() {
			return key, err
		}
		key.Revoked = timestamp()
		return key, tx.Bucket(boltRevoked).Put(hash, boltTime(key.Revoked))
	})
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

// boltKeyOf returns the key of this hash, or [ErrUnknown].
func boltKeyOf(tx *bbolt.Tx, hash []byte) (*Key, error) {
	text := tx.Bucket(boltRecords).Get(hash)
	if text == nil {
		return nil, ErrUnknown
	}
	key, err := decodeRecord(string(text))
	if err != nil {
		return nil, err
	}
	if at := tx.Bucket(boltRevoked).Get(hash); len(at) == 8 {
		key.Revoked = time.UnixMilli(int64(binary.BigEndian.Uint64(at))).UTC()
	} else if at != nil {
		return nil, fmt.Errorf("auth: time of revocation of %s has %d bytes", key.ID, len(at))
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
