package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// errUntouched: the log was never used, so it has no origin.
var errUntouched = errors.New("the log has never been used")

// A boltReading is one log in a read transaction.
type boltReading struct {
	tx      *bbolt.Tx
	now     time.Time
	head    boltHead
	entries *bbolt.Bucket

	oldestMS     uint64 // entries of earlier milliseconds are expired,
	oldestNumber uint64 // and so are entries with lower numbers
}

func (l *BoltLog) reading(tx *bbolt.Tx, log string) (*boltReading, error) {
	r := &boltReading{tx: tx, now: time.Now()}
	value := tx.Bucket(boltHeads).Get([]byte(log))
	if value == nil {
		return nil, errUntouched
	}
	var err error
	if r.head, err = decodeHead(value); err != nil {
		return nil, err
	}
	if r.entries = tx.Bucket(boltEntries).Bucket([]byte(log)); r.entries == nil {
		return nil, errNoEntries
	}
	retention := l.retention.of(log)
	r.oldestMS = before(r.now, retention.Age)
	if most := uint64(retention.Events); r.head.number > most {
		r.oldestNumber = r.head.number - most + 1
	}
	return r, nil
}

// view calls look with the log at one moment. It gives an unused log its
// origin.
func (l *BoltLog) view(ctx context.Context, log string, look func(*boltReading) error) error {
	err := ctx.Err()
	if err == nil {
		err = l.viewTouched(log, look)
	}
	if err == errUntouched {
		if err = l.makeOrigin(ctx, log); err == nil {
			err = l.viewTouched(log, look)
		}
	}
	if err != nil {
		return fmt.Errorf("log %q: %w", log, err)
	}
	return nil
}

func (l *BoltLog) viewTouched(log string, look func(*boltReading) error) error {
	err := l.file.View(func(tx *bbolt.Tx) error {
		r, err := l.reading(tx, log)
		if err != nil {
			return err
		}
		return look(r)
	})
	if err == errUntouched {
		return err
	}
	return boltFault(err)
}

func (l *BoltLog) makeOrigin(ctx context.Context, log string) error {
	return l.commit(ctx, &boltJob{do: func(w *boltWrite) error {
		_, err := w.open(log)
		return err
	}})
}

func (r *boltReading) keeps(key, value []byte) bool {
	return boltID(key, nil).ms >= r.oldestMS && entryNumber(value) >= r.oldestNumber
}

// first moves c to the first retained entry at or after from.
func (r *boltReading) first(c *bbolt.Cursor, from ID) (key, value []byte) {
	if from.ms < r.oldestMS {
		from = ID{ms: r.oldestMS}
	}
	key, value = c.Seek(boltKey(from))
	for key != nil && entryNumber(value) < r.oldestNumber {
		key, value = c.Next()
	}
	return key, value
}

func (r *boltReading) bounds() (Bounds, error) {
	b := Bounds{Origin: r.head.origin, Head: r.head.last}
	if key, value := r.first(r.entries.Cursor(), ID{}); key != nil {
		e, err := readEntry(key, value)
		if err != nil {
			return Bounds{}, err
		}
		b.Oldest, b.Prev = e.ID, e.Prev
	}
	return b, nil
}

func readEntry(key, value []byte) (Entry, error) {
	e, err := decodeEntry(key, value)
	if err != nil {
		return Entry{}, fmt.Errorf("an entry at %x: %w", key, err)
	}
	return e, nil
}

// Read implements [Log].
func (l *BoltLog) Read(ctx context.Context, log string, after ID, limit int) (batch Batch, err error) {
	err = l.view(ctx, log, func(r *boltReading) error {
		batch, err = r.read(after, limit)
		return err
	})
	if err != nil {
		return Batch{}, err
	}
	return batch, nil
}

func (r *boltReading) read(after ID, limit int) (Batch, error) {
	c := r.entries.Cursor()
	at := boltKey(after)
	key, value := c.Seek(at)
	if bytes.Equal(key, at) && bytes.Equal(entryTag(value), after.tag[:]) && r.keeps(key, value) {
		key, value = c.Next()
	} else {
		b, err := r.bounds()
		switch {
		case err != nil:
			return Batch{}, err
		case !b.proves(after):
			return Batch{Gap: b.gap(after)}, nil
		case after == b.Head:
			return Batch{}, nil
		}
		key, value = r.first(c, ID{})
	}

	var entries []Entry
	for prev := after; key != nil && len(entries) < limit; key, value = c.Next() {
		e, err := readEntry(key, value)
		if err == nil && e.Prev != prev {
			err = fmt.Errorf("an entry at %x does not follow the one before", key)
		}
		if err != nil && len(entries) > 0 {
			break // the next read starts here and finds the gap
		}
		if err != nil {
			return Batch{}, err
		}
		entries = append(entries, e)
		prev = e.ID
	}
	return Batch{Entries: entries}, nil
}

// Bounds implements [Log].
func (l *BoltLog) Bounds(ctx context.Context, log string) (b Bounds, err error) {
	err = l.view(ctx, log, func(r *boltReading) error {
		b, err = r.bounds()
		return err
	})
	return b, err
}

// Seek implements [Log].
func (l *BoltLog) Seek(ctx context.Context, log string, t time.Time) (after, first ID, err error) {
	ms := t.UnixMilli()
	if t.After(time.UnixMilli(ms)) {
		ms++
	}
	from := ID{ms: uint64(max(0, ms))}
	err = l.view(ctx, log, func(r *boltReading) error {
		after, first = r.head.last, ID{}
		key, value := r.first(r.entries.Cursor(), from)
		if key == nil {
			return nil
		}
		e, err := readEntry(key, value)
		after, first = e.Prev, e.ID
		return err
	})
	if err != nil {
		return ID{}, ID{}, err
	}
	return after, first, nil
}

// Moved implements [Log]. A damaged log counts as moved, so that its readers
// get the error.
func (l *BoltLog) Moved(ctx context.Context, heads map[string]ID) (moved, silent []string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	err = l.file.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(boltHeads)
		for name, head := range heads {
			h, err := decodeHead(b.Get([]byte(name)))
			if err != nil || h.last != head {
				moved = append(moved, name)
			}
		}
		return nil
	})
	if err != nil {
		return nil, slices.Collect(maps.Keys(heads)), fmt.Errorf("compare %d heads: %w: %w", len(heads), ErrUnavailable, err)
	}
	return moved, nil, nil
}
