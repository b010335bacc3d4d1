package eventlog

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"testing"
)

func TestBoltPoisonedLogHarmsItselfOnly(t *testing.T) {
	path := newBoltPath(t)
	l := openBolt(t, path, BoltOptions{})
	for name, poison := range map[string]func(o *boltWriting) error{
		"a head that is not ours": func(o *boltWriting) error {
			return o.tx.Bucket(boltHeads).Put([]byte(o.name), []byte("x"))
		},
		"no head": func(o *boltWriting) error {
			return o.tx.Bucket(boltHeads).Delete([]byte(o.name))
		},
		"no entries": func(o *boltWriting) error {
			return o.tx.Bucket(boltEntries).DeleteBucket([]byte(o.name))
		},
		"an entry that is not ours": func(o *boltWriting) error {
			return o.entries.Put(boltKey(o.head.last), []byte("x"))
		},
		"a key that is not ours": func(o *boltWriting) error {
			return o.entries.Put([]byte("x"), []byte("y"))
		},
		"an entry with a broken byte": func(o *boltWriting) error {
			key, value := o.entries.Cursor().Last()
			value = bytes.Clone(value)
			value[len(value)/2] ^= 1
			return o.entries.Put(bytes.Clone(key), value)
		},
		"a receipt that is not ours": func(o *boltWriting) error {
			delete(o.log.taken, o.name)
			return o.receipts.Put(boltKey(o.head.last), []byte("x"))
		},
		"a hole": func(o *boltWriting) error {
			c := o.entries.Cursor()
			c.First()
			key, _ := c.Next()
			return o.entries.Delete(bytes.Clone(key))
		},
	} {
		t.Run(name, func(t *testing.T) {
			log, neighbour := newName(), newName()
			first := mustAppend(t, l, log, newEvent("before"), newEvent("beside"), newEvent("behind"))
			inBolt(t, l, log, func(o *boltWriting) error {
				o.changed = false
				return poison(o)
			})

			// Both appends share a transaction.
			release := holdCommitter(t, l)
			good := appendEach(t, l, neighbour, []Event{newEvent("a")})
			refused := make(chan error, 1)
			go func() {
				receipts, err := l.Append(t.Context(), log, []Event{newEvent("more")})
				for _, r := range receipts {
					err = errors.Join(err, r.Err)
				}
				refused <- err
			}()
			awaitWaiting(l, 2)
			release()
			if err := <-good; err != nil {
				t.Errorf("append to the neighbour: %v", err)
			}
			harm := <-refused
			if errors.Is(harm, ErrUnavailable) {
				t.Errorf("append: %v, want ErrDamaged and nothing else", harm)
			}
			for _, after := range first {
				harm = errors.Join(harm, readToTheEnd(l, log, after))
			}
			if !errors.Is(harm, ErrDamaged) {
				t.Errorf("neither append nor read said that the log is damaged: %v", harm)
			}
			if got := mustReadAll(t, l, neighbour); len(got) != 1 {
				t.Errorf("the neighbour has %d entries, want 1", len(got))
			}
			if _, _, err := l.Moved(t.Context(), map[string]ID{log: first[0], neighbour: {}}); err != nil {
				t.Errorf("moved: %v", err)
			}
			l.sweep(t.Context())
			mustAppend(t, l, neighbour, newEvent("after"))
		})
	}
}

// readToTheEnd reads all pages after a position.
func readToTheEnd(l Log, log string, after ID) error {
	for {
		b, err := l.Read(context.Background(), log, after, 10)
		if err != nil || len(b.Entries) == 0 {
			return err
		}
		after = b.Entries[len(b.Entries)-1].ID
	}
}

// Damaged pages cause errors for the log that they belong to, and for no other,
// in reads and in writes.
func TestBoltSpoiledPagesHarmTheirLogOnly(t *testing.T) {
	path := newBoltPath(t)
	l := openBolt(t, path, BoltOptions{})
	log, neighbour := newName(), newName()
	first := mustAppend(t, l, log, newEvents(1)...)[0]
	ids := mustAppend(t, l, neighbour, newEvents(1)...)
	for i := range 50 {
		mustAppend(t, l, log, newEvent("spoiled "+strconv.Itoa(i)))
		ids = append(ids, mustAppend(t, l, neighbour, newEvent("sound "+strconv.Itoa(i)))...)
	}
	spoilPages(t, path, "spoiled 49")

	release := holdCommitter(t, l)
	good := appendEach(t, l, neighbour, []Event{newEvent("beside")})
	bad := appendEach(t, l, log, []Event{newEvent("more"), newEvent("and more")})
	release()
	if err := <-good; err != nil {
		t.Errorf("append to the neighbour: %v", err)
	}
	for range 2 {
		if err := <-bad; !errors.Is(err, ErrDamaged) {
			t.Errorf("append: %v, want ErrDamaged", err)
		}
	}
	err := readToTheEnd(l, log, first)
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("read: %v, want ErrDamaged", err)
	}
	l.sweep(t.Context())
	if got := idsOf(mustReadAll(t, l, neighbour)); len(got) != len(ids)+1 || !slices.Equal(got[:len(ids)], ids) {
		t.Errorf("the neighbour has %d entries, want %d", len(got), len(ids)+1)
	}
}

func spoilPages(t *testing.T, path, text string) {
	t.Helper()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	size := os.Getpagesize()
	for at := 0; at+size <= len(whole); at += size {
		if bytes.Contains(whole[at:at+size], []byte(text)) {
			if _, err := file.WriteAt(bytes.Repeat([]byte{0xA5}, size), int64(at)); err != nil {
				t.Fatal(err)
			}
		}
	}
}
