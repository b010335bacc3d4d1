package eventlog

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// Trimming works in small steps, so that it does not hold up appends. An append
// trims once a log has trimSurplus entries too many.
const (
	trimSurplus = 256
	maxTrim     = 8192
)

// The sweeper visits every log once per interval: a sixteenth of the shortest
// retention, within these bounds.
const (
	mostSweep  = 10 * time.Second
	leastSweep = 20 * time.Millisecond

	sweptAtOnce = 16
)

func (o *boltWriting) trimSurplus() error {
	most := uint64(o.retention().Events)
	_, oldest := o.entries.Cursor().First()
	if entryNumber(oldest)+most+trimSurplus > o.head.number {
		return nil
	}
	_, err := remove(o.entries, o.outnumbered, nil)
	return err
}

func (o *boltWriting) retention() Retention { return o.log.retention.of(o.name) }

func (o *boltWriting) outnumbered(_, value []byte) bool {
	return entryNumber(value)+uint64(o.retention().Events) <= o.head.number
}

// trim removes entries, receipts and states that have expired, up to maxTrim of
// each. It reports whether more may be left.
func (o *boltWriting) trim() (more bool, err error) {
	aged := olderThan(before(o.now, o.retention().Age))
	goes := func(key, value []byte) bool { return aged(key, value) || o.outnumbered(key, value) }
	entries, err := remove(o.entries, goes, nil)
	if err != nil {
		return false, err
	}
	receipts, err := remove(o.receipts, olderThan(o.forgotten()), o.forget)
	if err != nil {
		return false, err
	}
	states, err := o.trimState()
	if err != nil {
		return false, err
	}
	if taken := o.log.taken[o.name]; taken != nil && len(taken) == 0 && len(o.fresh) == 0 {
		delete(o.log.taken, o.name) // a map keeps its size when it is emptied
		o.taken = nil
	}
	return max(entries, receipts, states) == maxTrim, nil
}

// forget removes an expired receipt from memory. Memory may forget it even if
// the transaction fails.
func (o *boltWriting) forget(key, value []byte) error {
	event, t, err := decodeTaken(key, value)
	if err != nil {
		return err
	}
	if o.log.taken[o.name][event] == t {
		delete(o.log.taken[o.name], event)
	}
	return nil
}

// remove deletes entries from the beginning of b while goes returns true, at
// most maxTrim. It calls each before the deletions, and returns their number.
func remove(b *bbolt.Bucket, goes func(key, value []byte) bool, each func(key, value []byte) error) (int, error) {
	var keys [][]byte
	c := b.Cursor()
	for key, value := c.First(); key != nil && len(keys) < maxTrim && goes(key, value); key, value = c.Next() {
		if each != nil {
			if err := each(key, value); err != nil {
				return 0, err
			}
		}
		keys = append(keys, key)
	}
	for _, key := range keys { // afterwards, because a deletion invalidates the cursor
		if err := b.Delete(key); err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}

func olderThan(ms uint64) func(key, value []byte) bool {
	return func(key, _ []byte) bool { return binary.BigEndian.Uint64(key) < ms }
}

// sweepAll is the sweeper: it trims logs that get no appends, until ctx is
// done.
func (l *BoltLog) sweepAll(ctx context.Context) {
	shortest := min(l.retention.Age, l.retention.State, l.window)
	ticker := time.NewTicker(min(max(shortest/16, leastSweep), mostSweep))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			l.sweep(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// sweep trims all logs that need it, several at a time, so that they share
// transactions.
func (l *BoltLog) sweep(ctx context.Context) {
	names, err := l.names()
	if err != nil {
		l.logger.Warn("logs cannot be trimmed", "error", err)
		return
	}
	next := make(chan string)
	var sweeping sync.WaitGroup
	for range sweptAtOnce {
		sweeping.Go(func() {
			for name := range next {
				if err := l.sweepLog(ctx, name); err != nil && ctx.Err() == nil {
					l.logger.Warn("a log cannot be trimmed", "log", name, "error", err)
				}
			}
		})
	}
	for _, name := range names {
		if l.trimmable(name) {
			next <- name
		}
	}
	close(next)
	sweeping.Wait()
}

func (l *BoltLog) sweepLog(ctx context.Context, name string) error {
	for more := true; more; {
		err := l.commit(ctx, &boltJob{do: func(w *boltWrite) error {
			o, err := w.open(name)
			if err != nil {
				return err
			}
			more, err = o.trim()
			return err
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *BoltLog) names() ([]string, error) {
	var names []string
	err := l.file.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(boltHeads).ForEach(func(name, _ []byte) error {
			names = append(names, string(name))
			return nil
		})
	})
	return names, err
}

// trimmable reports whether a log needs trimming. A damaged log does not; its
// readers get the error.
func (l *BoltLog) trimmable(name string) bool {
	found := false
	_ = l.file.View(func(tx *bbolt.Tx) error {
		r, err := l.reading(tx, name)
		if err != nil {
			return err
		}
		first := func(kind []byte) (key, value []byte) {
			if b := tx.Bucket(kind).Bucket([]byte(name)); b != nil {
				return b.Cursor().First()
			}
			return nil, nil
		}
		key, value := first(boltEntries)
		found = key != nil && !r.keeps(key, value)
		key, value = first(boltReceipts)
		found = found || key != nil && olderThan(before(r.now, l.window))(key, value)
		key, value = first(boltStates)
		found = found || key != nil && olderThan(before(r.now, l.retention.State))(key, value)
		return nil
	})
	return found
}
