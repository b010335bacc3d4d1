package eventlog

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/paylogic/pushserver/internal/boltfile"
)

// The top-level buckets of a BoltLog's file. All but the first hold one bucket
// per log. This confines damaged pages to one log, and makes appends go to the
// end of a bucket.
var (
	boltHeads    = []byte("heads")    // name → head
	boltEntries  = []byte("entries")  // position → entry
	boltReceipts = []byte("receipts") // position → receipt, for the duplicate window
	boltStates   = []byte("states")   // position → entry that is a state
	boltThings   = []byte("things")   // hash of type and subject → position in states
)

// makeBoltBuckets creates missing buckets. If none is missing it writes
// nothing, so that a log on a full disk can be opened.
func makeBoltBuckets(file *boltfile.File) error {
	kinds := [][]byte{boltHeads, boltEntries, boltReceipts, boltStates, boltThings}
	missing := false
	err := file.View(func(tx *bbolt.Tx) error {
		for _, kind := range kinds {
			missing = missing || tx.Bucket(kind) == nil
		}
		return nil
	})
	if err != nil || !missing {
		return err
	}
	return file.Update(func(tx *bbolt.Tx) error {
		for _, kind := range kinds {
			if _, err := tx.CreateBucketIfNotExists(kind); err != nil {
				return err
			}
		}
		return nil
	})
}

var errNoEntries = errors.New("it has a head and no place for entries")

// A boltWrite is a write transaction.
type boltWrite struct {
	log  *BoltLog
	tx   *bbolt.Tx
	now  time.Time
	logs map[string]*boltWriting // opened in this transaction
}

// A boltWriting is one log in a write transaction.
type boltWriting struct {
	*boltWrite
	name    string
	head    boltHead
	changed bool // the head must be written

	entries, receipts *bbolt.Bucket
	states, things    *bbolt.Bucket // nil until the state is needed

	taken map[eventHash]boltTaken // nil until the first append
	fresh map[eventHash]boltTaken // what this transaction adds to taken
}

// open returns the log with this name. It creates a missing one.
func (w *boltWrite) open(name string) (*boltWriting, error) {
	if o := w.logs[name]; o != nil {
		return o, nil
	}
	o := &boltWriting{boltWrite: w, name: name}
	err := o.openHead()
	if err != nil {
		return nil, err
	}
	if o.entries, err = o.bucket(boltEntries); err != nil {
		return nil, err
	}
	if o.receipts, err = o.bucket(boltReceipts); err != nil {
		return nil, err
	}
	w.logs[name] = o
	return o, nil
}

func (o *boltWriting) openHead() (err error) {
	value := o.tx.Bucket(boltHeads).Get([]byte(o.name))
	entries := o.tx.Bucket(boltEntries).Bucket([]byte(o.name))
	switch {
	case value != nil && entries == nil:
		return errNoEntries
	case value != nil:
		o.head, err = decodeHead(value)
		return err
	case entries != nil:
		return errors.New("it has entries and no head")
	}
	origin := originOf(newTag())
	o.head, o.changed = boltHead{origin: origin, last: origin}, true
	return nil
}

func (o *boltWriting) bucket(kind []byte) (*bbolt.Bucket, error) {
	b, err := o.tx.Bucket(kind).CreateBucketIfNotExists([]byte(o.name))
	if err == nil {
		b.FillPercent = 1 // keys only grow, so a page can be filled
	}
	return b, err
}

func (w *boltWrite) writeHeads() error {
	heads := w.tx.Bucket(boltHeads)
	for _, name := range slices.Sorted(maps.Keys(w.logs)) {
		if o := w.logs[name]; o.changed {
			if err := heads.Put([]byte(name), o.head.encode()); err != nil {
				return err
			}
		}
	}
	return nil
}

// append adds an event, or returns the receipt of its duplicate.
func (o *boltWriting) append(e *boltEvent) (Receipt, error) {
	t, known, err := o.find(e.event)
	switch {
	case err != nil:
		return Receipt{}, err
	case known && t.digest != e.digest:
		return Receipt{ID: t.id, Err: ErrReused}, nil
	case known:
		return Receipt{ID: t.id, Duplicate: true}, nil
	}

	id := ID{ms: uint64(o.now.UnixMilli()), tag: e.tag}
	if id.ms <= o.head.last.ms { // the clock stood still or was set back
		id.ms, id.seq = o.head.last.ms, o.head.last.seq+1
	}
	key, value := boltKey(id), completeEntry(e.entry, id, o.head.last, o.head.number+1)
	if err := o.entries.Put(key, value); err != nil {
		return Receipt{}, err
	}
	t = boltTaken{e.digest, id}
	if err := o.receipts.Put(key, t.encode(e.event)); err != nil {
		return Receipt{}, err
	}
	o.fresh[e.event] = t
	o.head.last, o.changed = id, true
	o.head.number++
	if e.state {
		if err := o.keepState(key, value, e); err != nil {
			return Receipt{}, err
		}
	}
	return Receipt{ID: id}, nil
}

// find returns the receipt of an event in the duplicate window.
func (o *boltWriting) find(event eventHash) (t boltTaken, known bool, err error) {
	if o.taken == nil {
		if err := o.loadTaken(); err != nil {
			return t, false, err
		}
	}
	if t, known = o.fresh[event]; known {
		return t, true, nil
	}
	t, known = o.taken[event]
	return t, known && t.id.ms >= o.forgotten(), nil
}

func (o *boltWriting) loadTaken() error {
	o.fresh = make(map[eventHash]boltTaken)
	if o.taken = o.log.taken[o.name]; o.taken != nil {
		return nil
	}
	taken := make(map[eventHash]boltTaken)
	c := o.receipts.Cursor()
	for key, value := c.Seek(boltKey(ID{ms: o.forgotten()})); key != nil; key, value = c.Next() {
		event, t, err := decodeTaken(key, value)
		if err != nil {
			return fmt.Errorf("a receipt at %x: %w", key, err)
		}
		taken[event] = t
	}
	o.taken, o.log.taken[o.name] = taken, taken
	return nil
}

func (o *boltWriting) forgotten() uint64 { return before(o.now, o.log.window) }

func before(now time.Time, d time.Duration) uint64 {
	return uint64(max(0, now.Add(-d).UnixMilli()))
}
