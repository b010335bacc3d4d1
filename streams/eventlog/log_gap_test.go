package eventlog

import (
	"math"
	"slices"
	"testing"
)

func mustGap(t testing.TB, l Log, log string, after ID) Gap {
	t.Helper()
	b, err := l.Read(t.Context(), log, after, 10)
	if err != nil {
		t.Fatalf("read %q after %s: %v", log, after, err)
	}
	if b.Gap == nil {
		t.Fatalf("read %q after %s: %d entries, want a gap", log, after, len(b.Entries))
	}
	if len(b.Entries) > 0 {
		t.Errorf("read %q after %s: a gap, and %d entries", log, after, len(b.Entries))
	}
	return *b.Gap
}

func wantGap(t testing.TB, l Log, log string, after ID, reason Reason, bounds Bounds) {
	t.Helper()
	want := Gap{Reason: reason, Bounds: bounds}
	if got := mustGap(t, l, log, after); got != want {
		t.Errorf("gap after %s: %+v, want %+v", after, got, want)
	}
}

func testTrimmed(t *testing.T, s subject, l Log) {
	log := newName()
	origin := mustBounds(t, l, log).Origin
	ids := mustAppend(t, l, log, newEvents(10)...)
	s.trim(t, l, log, 4)
	bounds := Bounds{Origin: origin, Head: ids[9], Oldest: ids[6], Prev: ids[5]}
	for _, after := range []ID{origin, ids[0], ids[4]} {
		wantGap(t, l, log, after, Trimmed, bounds)
	}
	if got := mustBounds(t, l, log); got != bounds {
		t.Errorf("bounds %+v, want %+v", got, bounds)
	}
	// The entry before the oldest is gone, but all entries after it are there.
	for i, after := range ids[5:] {
		if got, want := idsOf(mustRead(t, l, log, after, 10)), ids[6+i:]; !slices.Equal(got, want) {
			t.Errorf("after %s: %v, want %v", after, got, want)
		}
	}
}

func testAgedEmpty(t *testing.T, s subject, l Log) {
	log := newName()
	origin := mustBounds(t, l, log).Origin
	ids := mustAppend(t, l, log, newEvents(3)...)
	s.trim(t, l, log, 0)
	bounds := Bounds{Origin: origin, Head: ids[2]}
	if got := mustBounds(t, l, log); got != bounds || got.Floor() != ids[2] {
		t.Errorf("bounds %+v, floor %s; want %+v", got, got.Floor(), bounds)
	}
	if got := mustRead(t, l, log, ids[2], 10); len(got) > 0 {
		t.Errorf("%d entries after the head of an empty log", len(got))
	}
	for _, after := range []ID{origin, ids[0], ids[1]} {
		wantGap(t, l, log, after, Trimmed, bounds)
	}

	next := mustAppend(t, l, log, newEvent("next"))
	if got := idsOf(mustRead(t, l, log, ids[2], 10)); !slices.Equal(got, next) {
		t.Errorf("after the old head: %v, want %v", got, next)
	}
	wantGap(t, l, log, ids[1], Trimmed, Bounds{Origin: origin, Head: next[0], Oldest: next[0], Prev: ids[2]})
}

func testRolledBack(t *testing.T, s subject, l Log) {
	log := newName()
	origin := mustBounds(t, l, log).Origin
	ids := mustAppend(t, l, log, newEvents(6)...)
	s.revert(t, l, log, 3)
	bounds := Bounds{Origin: origin, Head: ids[2], Oldest: ids[0], Prev: origin}
	for _, after := range ids[3:] {
		wantGap(t, l, log, after, RolledBack, bounds)
	}
	if got := idsOf(mustRead(t, l, log, ids[0], 10)); !slices.Equal(got, ids[1:3]) {
		t.Errorf("after a position that survived: %v, want %v", got, ids[1:3])
	}

	after := mustAppend(t, l, log, newEvent("after"))
	bounds.Head = after[0]
	wantGap(t, l, log, ids[3], RolledBack, bounds)
	wantGap(t, l, log, ids[5], RolledBack, bounds)
	if got := idsOf(mustRead(t, l, log, ids[2], 10)); !slices.Equal(got, after) {
		t.Errorf("after the surviving head: %v, want %v", got, after)
	}
}

func testRebuilt(t *testing.T, s subject, l Log) {
	log := newName()
	old := mustBounds(t, l, log).Origin
	ids := mustAppend(t, l, log, newEvents(3)...)
	s.erase(t, l, log)
	origin := mustBounds(t, l, log).Origin
	if origin == old {
		t.Fatalf("the new log has the old origin, %s", old)
	}
	for _, after := range append([]ID{old}, ids...) {
		wantGap(t, l, log, after, Rebuilt, Bounds{Origin: origin, Head: origin})
	}
	for ids[2].ms >= mustAppend(t, l, log, newEvents(1)...)[0].ms { // until the log's next millisecond
		s.erase(t, l, log)
	}
	bounds := mustBounds(t, l, log)
	for _, after := range append([]ID{old}, ids...) {
		wantGap(t, l, log, after, Rebuilt, bounds)
	}
	if got := mustRead(t, l, log, bounds.Origin, 10); len(got) != 1 {
		t.Errorf("%d entries after the new origin, want 1", len(got))
	}
}

func testNeverWas(t *testing.T, l Log) {
	log := newName()
	origin := mustBounds(t, l, log).Origin
	ids := mustAppend(t, l, log, newEvents(3)...)
	bounds := Bounds{Origin: origin, Head: ids[2], Oldest: ids[0], Prev: origin}

	wantGap(t, l, log, ID{}, Unknown, bounds)
	for _, id := range ids {
		foreign := id // a position of another log has another tag
		foreign.tag = newTag()
		wantGap(t, l, log, foreign, RolledBack, bounds)
	}
	for _, future := range []ID{
		{ms: ids[2].ms + 1, tag: newTag()},
		{ms: math.MaxUint64, seq: math.MaxUint64, tag: newTag()},
	} {
		wantGap(t, l, log, future, RolledBack, bounds)
	}
	wantGap(t, l, log, originOf(newTag()), Rebuilt, bounds)

	fresh := newName()
	if gap := mustGap(t, l, fresh, ids[0]); gap.Bounds != mustBounds(t, l, fresh) || gap.Bounds.Origin.IsZero() {
		t.Errorf("a foreign position in an untouched log: %+v, want its bounds", gap)
	}
}
