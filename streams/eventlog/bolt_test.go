package eventlog

import (
	"context"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

func openBolt(t testing.TB, path string, o BoltOptions) *BoltLog {
	t.Helper()
	l, err := OpenBoltLog(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func newBoltPath(t testing.TB) string { return filepath.Join(t.TempDir(), "events.db") }

// inBolt changes what a log stores.
func inBolt(t testing.TB, l Log, log string, do func(*boltWriting) error) {
	t.Helper()
	err := l.(*BoltLog).commit(context.Background(), &boltJob{do: func(w *boltWrite) error {
		o, err := w.open(log)
		if err != nil {
			return err
		}
		return do(o)
	}})
	if err != nil {
		t.Fatal(err)
	}
}

var boltSubject = subject{
	open: func(t *testing.T) Log { return openBolt(t, newBoltPath(t), BoltOptions{}) },
	trim: func(t *testing.T, l Log, log string, keep int) {
		inBolt(t, l, log, func(o *boltWriting) error {
			_, err := remove(o.entries, func(_, value []byte) bool {
				return entryNumber(value)+uint64(keep) <= o.head.number
			}, nil)
			return err
		})
	},
	revert: func(t *testing.T, l Log, log string, entries int) {
		inBolt(t, l, log, func(o *boltWriting) error {
			for range entries {
				key, value := o.entries.Cursor().Last()
				e, err := decodeEntry(key, value)
				if err != nil {
					return err
				}
				if err := o.entries.Delete(key); err != nil {
					return err
				}
				o.head.last, o.changed = e.Prev, true
				o.head.number--
			}
			return nil
		})
	},
	erase: func(t *testing.T, l Log, log string) {
		inBolt(t, l, log, func(o *boltWriting) error {
			delete(o.logs, log)
			delete(o.log.taken, log)
			for _, kind := range [][]byte{boltEntries, boltReceipts} {
				if err := o.tx.Bucket(kind).DeleteBucket([]byte(log)); err != nil {
					return err
				}
			}
			return o.tx.Bucket(boltHeads).Delete([]byte(log))
		})
	},
}

func newestTransaction(t testing.TB, l *BoltLog) (id int) {
	t.Helper()
	if err := l.file.View(func(tx *bbolt.Tx) error { id = tx.ID(); return nil }); err != nil {
		t.Fatal(err)
	}
	return id
}

// stored returns how many entries of a kind the file has, including expired
// ones.
func stored(t testing.TB, l *BoltLog, kind []byte, log string) (n int) {
	t.Helper()
	err := l.file.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket(kind).Bucket([]byte(log)); b != nil {
			n = b.Stats().KeyN
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
