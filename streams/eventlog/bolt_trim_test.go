package eventlog

import (
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func TestBoltRetentionByCountIsExact(t *testing.T) {
	l := openBolt(t, newBoltPath(t), BoltOptions{Retention: Retention{Events: 100}})
	log := newName()
	origin := mustBounds(t, l, log).Origin
	var ids []ID
	for i := range 1000 {
		ids = append(ids, mustAppend(t, l, log, newEvent(strconv.Itoa(i)))...)
		if i%97 > 0 {
			continue
		}
		kept := ids[max(0, len(ids)-100):]
		if got := idsOf(mustReadAll(t, l, log)); !slices.Equal(got, kept) {
			t.Fatalf("of %d, %d entries, want the newest %d", len(ids), len(got), len(kept))
		}
	}
	bounds := Bounds{Origin: origin, Head: ids[999], Oldest: ids[900], Prev: ids[899]}
	if got := mustBounds(t, l, log); got != bounds {
		t.Errorf("bounds %+v, want %+v", got, bounds)
	}
	for _, after := range []ID{origin, ids[0], ids[898]} { // the last one is still in the file
		wantGap(t, l, log, after, Trimmed, bounds)
	}
	if got := idsOf(mustRead(t, l, log, ids[899], 1000)); !slices.Equal(got, ids[900:]) {
		t.Errorf("after the position before the oldest: %d entries, want 100", len(got))
	}
	if after, first, err := l.Seek(t.Context(), log, ids[0].Time()); err != nil || after != ids[899] || first != ids[900] {
		t.Errorf("seek: after %s, first %s (%v), want the oldest retained, %s", after, first, err, ids[900])
	}
	if n := stored(t, l, boltEntries, log); n > 100+trimSurplus {
		t.Errorf("%d entries are in the file, want %d at most", n, 100+trimSurplus)
	}
}

func TestBoltRetentionByAgeIsExactAndMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openBolt(t, newBoltPath(t), BoltOptions{Retention: Retention{Age: time.Minute}, DuplicateWindow: time.Hour})
		log := newName()
		origin := mustBounds(t, l, log).Origin
		var ids []ID
		for i := range 10 { // one every 10 s
			ids = append(ids, mustAppend(t, l, log, newEvent(strconv.Itoa(i)))...)
			time.Sleep(10 * time.Second)
		}
		kept := ids[4:] // the oldest is a minute old
		if got := idsOf(mustReadAll(t, l, log)); !slices.Equal(got, kept) {
			t.Errorf("read %v, want %v", got, kept)
		}
		wantGap(t, l, log, ids[2], Trimmed, Bounds{Origin: origin, Head: ids[9], Oldest: ids[4], Prev: ids[3]})

		time.Sleep(time.Minute) // without appends
		bounds := Bounds{Origin: origin, Head: ids[9]}
		if got := mustBounds(t, l, log); got != bounds {
			t.Errorf("bounds %+v, want %+v", got, bounds)
		}
		wantGap(t, l, log, ids[8], Trimmed, bounds)
		if got := mustRead(t, l, log, ids[9], 10); len(got) > 0 {
			t.Errorf("%d entries after the head of a log that aged empty", len(got))
		}
		if after, first, err := l.Seek(t.Context(), log, ids[0].Time()); err != nil || after != ids[9] || !first.IsZero() {
			t.Errorf("seek: after %s, first %s (%v), want the head", after, first, err)
		}
		time.Sleep(mostSweep)
		if n := stored(t, l, boltEntries, log); n > 0 {
			t.Errorf("%d entries are in the file, want it swept", n)
		}
		if receipts, err := l.Append(t.Context(), log, []Event{newEvent("9")}); err != nil || !receipts[0].Duplicate || receipts[0].ID != ids[9] {
			t.Errorf("sent again: %+v (%v), want a duplicate of %s, which is trimmed", receipts, err, ids[9])
		}
		next := mustAppend(t, l, log, newEvent("next"))
		if got := idsOf(mustRead(t, l, log, ids[9], 10)); !slices.Equal(got, next) {
			t.Errorf("after the old head: %v, want %v", got, next)
		}
	})
}

func TestBoltDuplicateWindowEndsAndMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newBoltPath(t)
		o := BoltOptions{DuplicateWindow: time.Hour}
		l := openBolt(t, path, o)
		log := newName()
		first := mustAppend(t, l, log, newEvent("e0"))[0]
		again := func() Receipt {
			t.Helper()
			receipts, err := l.Append(t.Context(), log, newEvents(1))
			if err != nil {
				t.Fatal(err)
			}
			return receipts[0]
		}
		time.Sleep(time.Hour)
		if got := again(); got != (Receipt{ID: first, Duplicate: true}) {
			t.Errorf("within the window: %+v, want a duplicate of %s", got, first)
		}
		l.Close()
		l = openBolt(t, path, o)
		if got := again(); got != (Receipt{ID: first, Duplicate: true}) {
			t.Errorf("within the window, opened again: %+v, want a duplicate of %s", got, first)
		}
		time.Sleep(time.Millisecond)
		second := again()
		if second.Duplicate || second.ID == first {
			t.Errorf("after the window: %+v, want a new position", second)
		}
		time.Sleep(time.Minute)
		if got := again(); got != (Receipt{ID: second.ID, Duplicate: true}) {
			t.Errorf("in the second window: %+v, want a duplicate of %s", got, second.ID)
		}
		if n := stored(t, l, boltReceipts, log); n != 1 {
			t.Errorf("%d receipts are in the file, want 1", n)
		}
		time.Sleep(time.Hour + mostSweep)
		inBolt(t, l, newName(), func(o *boltWriting) error {
			if taken, there := o.log.taken[log]; there {
				t.Errorf("%d receipts are in memory, want the log forgotten", len(taken))
			}
			return nil
		})
		if n := stored(t, l, boltReceipts, log); n != 0 {
			t.Errorf("%d receipts are in the file, want none", n)
		}
		if got := len(mustReadAll(t, l, log)); got != 2 {
			t.Errorf("%d entries, want 2", got)
		}
	})
}

func TestBoltSweepsMoreThanOneTransactionHolds(t *testing.T) {
	l := openBolt(t, newBoltPath(t), BoltOptions{Retention: Retention{Events: 1}})
	log := newName()
	const n = maxTrim*2 + 10
	for at := 0; at < n; at += 10_000 {
		mustAppend(t, l, log, newStates(at, min(at+10_000, n))...)
	}
	l.sweep(t.Context())
	if got := stored(t, l, boltEntries, log); got != 1 {
		t.Errorf("%d entries are in the file, want 1", got)
	}
}

// newStates returns states of different subjects.
func newStates(from, to int) []Event {
	var events []Event
	for i := from; i < to; i++ {
		events = append(events, newState(strconv.Itoa(i), strconv.Itoa(i), "1"))
	}
	return events
}
