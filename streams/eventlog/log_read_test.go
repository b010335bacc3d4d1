package eventlog

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

func testPages(t *testing.T, l Log) {
	log := newName()
	origin := mustBounds(t, l, log).Head
	all := append([]ID{origin}, mustAppend(t, l, log, newEvents(12)...)...)
	for i, after := range all {
		for _, limit := range []int{1, 2, 5, 100} {
			want := all[i+1:][:min(limit, len(all)-i-1)]
			if got := idsOf(mustRead(t, l, log, after, limit)); !slices.Equal(got, want) {
				t.Errorf("after the %dth, limit %d: %v, want %v", i, limit, got, want)
			}
		}
	}
}

func testUntouched(t *testing.T, l Log) {
	log := newName()
	b := mustBounds(t, l, log)
	if want := (Bounds{Origin: b.Origin, Head: b.Origin}); b != want || !b.Origin.IsOrigin() {
		t.Errorf("bounds %+v, want an origin, which is the head, and nothing else", b)
	}
	if again := mustBounds(t, l, log); again != b {
		t.Errorf("bounds %+v, and then %+v", b, again)
	}
	if got := mustRead(t, l, log, b.Origin, 10); len(got) != 0 {
		t.Errorf("%d entries after the origin of a log without any", len(got))
	}
	ids := mustAppend(t, l, log, newEvents(2)...)
	want := Bounds{Origin: b.Origin, Head: ids[1], Oldest: ids[0], Prev: b.Origin}
	if got := mustBounds(t, l, log); got != want {
		t.Errorf("bounds %+v, want %+v", got, want)
	}
}

func testTestMode(t *testing.T, l Log) {
	live := newName()
	test := live + testSuffix
	a := mustAppend(t, l, live, newEvent("e0"))
	b := mustAppend(t, l, test, newEvent("e0"))
	if got := idsOf(mustReadAll(t, l, live)); !slices.Equal(got, a) {
		t.Errorf("the live log has %v, want %v", got, a)
	}
	if got := idsOf(mustReadAll(t, l, test)); !slices.Equal(got, b) {
		t.Errorf("the test log has %v, want %v", got, b)
	}
	if gap := mustGap(t, l, test, a[0]); gap.Bounds.Head != b[0] {
		t.Errorf("a live position in the test log: %+v, want a gap with the test log's bounds", gap)
	}
}

func testSeek(t *testing.T, l Log) {
	log := newName()
	check := func(at time.Time, wantAfter, wantFirst ID) {
		t.Helper()
		after, first, err := l.Seek(t.Context(), log, at)
		if err != nil || after != wantAfter || first != wantFirst {
			t.Errorf("seek %s: after %s, first %s, %v; want %s and %s", at.UTC(), after, first, err, wantAfter, wantFirst)
		}
	}
	prev := mustBounds(t, l, log).Origin
	check(time.Now(), prev, ID{})

	var starts, befores []ID // of the first event of each millisecond
	for i := 0; len(starts) < 3; i++ {
		id := mustAppend(t, l, log, newEvent(strconv.Itoa(i)))[0]
		if id.ms != prev.ms {
			starts, befores = append(starts, id), append(befores, prev)
		}
		prev = id
	}
	for i, id := range starts {
		check(id.Time(), befores[i], id)
	}
	check(time.Unix(0, 0), befores[0], starts[0])
	check(time.Unix(-1e9, 0), befores[0], starts[0])
	check(prev.Time().Add(time.Hour), prev, ID{})

	if after, first, err := l.Seek(t.Context(), newName(), time.Now()); err != nil || !after.IsOrigin() || !first.IsZero() {
		t.Errorf("seek in an untouched log: after %s, first %s, %v; want its origin", after, first, err)
	}
}

func testMoved(t *testing.T, l Log) {
	heads := make(map[string]ID)
	var want []string
	for i := range 100 {
		log := newName()
		heads[log] = mustBounds(t, l, log).Head
		if i%3 > 0 {
			heads[log] = mustAppend(t, l, log, newEvent("e0"))[0]
		}
		if i%5 == 0 {
			mustAppend(t, l, log, newEvent("e1"))
			want = append(want, log)
		}
	}
	got, silent, err := l.Moved(t.Context(), heads)
	slices.Sort(got)
	slices.Sort(want)
	if err != nil || len(silent) > 0 || !slices.Equal(got, want) {
		t.Errorf("moved: %v, silent: %v, %v; want %v", got, silent, err, want)
	}
}

func testBells(t *testing.T, l Log) {
	ctx, cancel := context.WithCancel(t.Context())
	rang := make(chan string, 1000)
	var ended sync.WaitGroup
	ended.Go(func() {
		l.Bells(ctx, func(log string) {
			select {
			case rang <- log:
			default:
			}
		})
	})
	defer ended.Wait()
	defer cancel()

	missing := map[string]bool{newName(): true, newName() + testSuffix: true}
	deadline := time.After(10 * time.Second)
	for i := 0; len(missing) > 0; i++ {
		for log := range missing {
			mustAppend(t, l, log, newEvent(strconv.Itoa(i)))
		}
		again := time.After(50 * time.Millisecond) // bells may be missed before the tails start
		for waiting := true; waiting && len(missing) > 0; {
			select {
			case log := <-rang:
				delete(missing, log)
			case <-again:
				waiting = false
			case <-deadline:
				t.Fatalf("no bell for %v", missing)
			}
		}
	}
}

func testContext(t *testing.T, l Log) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Append(ctx, newName(), newEvents(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("append: %v, want the context's error", err)
	}
	if _, err := l.Read(ctx, newName(), originOf(newTag()), 1); !errors.Is(err, context.Canceled) {
		t.Errorf("read: %v, want the context's error", err)
	}
}
