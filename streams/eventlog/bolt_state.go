package eventlog

import (
	"context"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"
)

// keepState replaces the state of the event's thing, or removes it if the event
// clears it.
func (o *boltWriting) keepState(key, value []byte, e *boltEvent) error {
	if err := o.openState(); err != nil {
		return err
	}
	if old := o.things.Get(e.thing[:]); old != nil {
		if err := o.states.Delete(old); err != nil {
			return err
		}
		o.head.state--
	}
	if e.clears {
		return o.things.Delete(e.thing[:])
	}
	if err := o.states.Put(key, value); err != nil {
		return err
	}
	o.head.state++
	if err := o.things.Put(e.thing[:], key); err != nil {
		return err
	}
	if o.head.state <= MaxStates {
		return nil
	}
	dropped := false
	_, err := o.dropState(func(_, _ []byte) bool {
		goes := !dropped
		dropped = true
		return goes
	})
	return err
}

func (o *boltWriting) openState() (err error) {
	if o.states != nil {
		return nil
	}
	if o.things, err = o.bucket(boltThings); err != nil {
		return err
	}
	o.things.FillPercent = bbolt.DefaultFillPercent // hashes arrive in random order
	o.states, err = o.bucket(boltStates)
	return err
}

func (o *boltWriting) trimState() (int, error) {
	if o.tx.Bucket(boltStates).Bucket([]byte(o.name)) == nil {
		return 0, nil
	}
	if err := o.openState(); err != nil {
		return 0, err
	}
	return o.dropState(olderThan(before(o.now, o.log.retention.State)))
}

// dropState removes states, oldest first, while goes returns true.
func (o *boltWriting) dropState(goes func(key, value []byte) bool) (int, error) {
	n, err := remove(o.states, goes, func(key, value []byte) error {
		e, err := decodeEntry(key, value)
		if err != nil {
			return err
		}
		thing := hashPair(e.Event.Type, e.Event.Subject)
		return o.things.Delete(thing[:])
	})
	o.head.state -= uint64(n)
	o.changed = o.changed || n > 0
	return n, err
}

// State implements [Log].
func (l *BoltLog) State(ctx context.Context, log string) (State, error) {
	var s State
	err := l.view(ctx, log, func(r *boltReading) error {
		s = State{Head: r.head.last, Until: r.head.last}
		states := r.tx.Bucket(boltStates).Bucket([]byte(log))
		if states == nil {
			return nil
		}
		c := states.Cursor()
		oldest := binary.BigEndian.AppendUint64(nil, before(r.now, l.retention.State))
		for key, value := c.Seek(oldest); key != nil; key, value = c.Next() {
			e, err := decodeEntry(key, value)
			if err != nil {
				return fmt.Errorf("its state at %x: %w", key, err)
			}
			s.Entries = append(s.Entries, e)
		}
		return nil
	})
	if err != nil {
		return State{}, err
	}
	return s, nil
}
