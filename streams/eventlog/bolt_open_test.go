package eventlog

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/paylogic/pushserver/internal/boltfile"
)

func TestBoltOpenedAgainGoesOnWhereItWas(t *testing.T) {
	path := newBoltPath(t)
	l := openBolt(t, path, BoltOptions{})
	log, untouched := newName(), newName()
	origin := mustBounds(t, l, untouched).Origin
	events := newEvents(20)
	events[3].State = true
	ids := mustAppend(t, l, log, events...)
	bounds := mustBounds(t, l, log)
	want := mustReadAll(t, l, log)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}

	l = openBolt(t, path, BoltOptions{})
	if got := mustBounds(t, l, log); got != bounds {
		t.Errorf("bounds %+v, want %+v", got, bounds)
	}
	if got := mustBounds(t, l, untouched); got != (Bounds{Origin: origin, Head: origin}) {
		t.Errorf("bounds of a log without events %+v, want the origin %s", got, origin)
	}
	if got := idsOf(mustReadAll(t, l, log)); !slices.Equal(got, idsOf(want)) {
		t.Errorf("read %v, want %v", got, idsOf(want))
	}
	if got := mustState(t, l, log); got.Head != ids[19] || !slices.Equal(idsOf(got.Entries), ids[3:4]) {
		t.Errorf("state %v at %s, want %s", idsOf(got.Entries), got.Head, ids[3])
	}
	receipts, err := l.Append(t.Context(), log, append(events[:2:2], newEvent("new")))
	if err != nil || receipts[0] != (Receipt{ID: ids[0], Duplicate: true}) || receipts[1] != (Receipt{ID: ids[1], Duplicate: true}) {
		t.Errorf("sent again: %+v (%v), want the first positions, %v", receipts, err, ids[:2])
	}
	if receipts[2].ID.Compare(ids[19]) <= 0 {
		t.Errorf("a new event got %s, want a position after %s", receipts[2].ID, ids[19])
	}
}

func TestBoltFileThatIsNotForUsIsRefused(t *testing.T) {
	held := newBoltPath(t)
	openBolt(t, held, BoltOptions{})
	other := newBoltPath(t)
	f, err := boltfile.Open(other, "events 2")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	text := newBoltPath(t)
	if err := os.WriteFile(text, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		held:  "another process holds it: end that one first",
		other: "it holds events 2, and this program reads events 1: start the version that wrote it",
		text:  "bring back a copy, or move it away",
	} {
		if l, err := OpenBoltLog(path, BoltOptions{}); err == nil {
			l.Close()
			t.Errorf("%s was opened", path)
		} else if !containsAll(err.Error(), path, says) {
			t.Errorf("error %q, want one with %q and the path", err, says)
		}
	}
}

func TestBoltClosedLogFailsAtOnceAndRunsNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	l := openBolt(t, newBoltPath(t), BoltOptions{})
	mustAppend(t, l, "acme", newEvents(1)...)
	l.Close()
	goleak.VerifyNone(t, before)
	if _, err := l.Append(t.Context(), "acme", newEvents(1)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("append: %v, want ErrUnavailable", err)
	}
	if _, err := l.Read(t.Context(), "acme", originOf(newTag()), 1); !errors.Is(err, ErrUnavailable) {
		t.Errorf("read: %v, want ErrUnavailable", err)
	}
	if err := l.Check(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("check: %v, want ErrUnavailable", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

func TestBoltCloseFinishesWhatWasAppended(t *testing.T) {
	path := newBoltPath(t)
	l := openBolt(t, path, BoltOptions{})
	release := holdCommitter(t, l)
	answers := appendEach(t, l, "acme", newEvents(10))
	closed := make(chan error)
	go func() { closed <- l.Close() }()
	for open := true; open; runtime.Gosched() {
		l.mu.Lock()
		open = !l.closed
		l.mu.Unlock()
	}
	release()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	for range 10 {
		if err := <-answers; err != nil {
			t.Errorf("append: %v", err)
		}
	}
	if got := len(mustReadAll(t, openBolt(t, path, BoltOptions{}), "acme")); got != 10 {
		t.Errorf("%d entries, want 10", got)
	}
}

func holdCommitter(t *testing.T, l *BoltLog) (release func()) {
	t.Helper()
	held, let := make(chan struct{}), make(chan struct{})
	go l.commit(context.Background(), &boltJob{do: func(*boltWrite) error {
		close(held)
		<-let
		return nil
	}})
	<-held
	return func() { close(let) }
}

// appendEach appends the events concurrently, one per call, and returns when
// all calls wait for the committer.
func appendEach(t *testing.T, l *BoltLog, log string, events []Event) (answers chan error) {
	t.Helper()
	answers = make(chan error, len(events))
	for _, e := range events {
		go func() {
			receipts, err := l.Append(context.Background(), log, []Event{e})
			if err == nil {
				err = receipts[0].Err
			}
			answers <- err
		}()
	}
	awaitWaiting(l, len(events))
	return answers
}

// awaitWaiting returns when n jobs wait for the committer.
func awaitWaiting(l *BoltLog, n int) {
	for waiting := 0; waiting < n; runtime.Gosched() {
		l.mu.Lock()
		waiting = len(l.waiting)
		l.mu.Unlock()
	}
}

func TestBoltAppendsThatComeTogetherShareATransaction(t *testing.T) {
	l := openBolt(t, newBoltPath(t), BoltOptions{})
	mustAppend(t, l, "acme", newEvent("before"))
	release := holdCommitter(t, l)
	before := newestTransaction(t, l)
	answers := appendEach(t, l, "acme", newEvents(50))
	release()
	for range 50 {
		if err := <-answers; err != nil {
			t.Errorf("append: %v", err)
		}
	}
	if n := newestTransaction(t, l) - before; n != 2 { // the held one and theirs
		t.Errorf("50 appends took %d transactions, want 1", n-1)
	}
}

func TestBoltCallerThatGivesUpIsNotWaitedFor(t *testing.T) {
	l := openBolt(t, newBoltPath(t), BoltOptions{})
	mustAppend(t, l, "acme", newEvent("before"))
	release := holdCommitter(t, l)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := l.Append(ctx, "acme", newEvents(1))
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("append: %v, want ErrUnavailable and the context's error", err)
	}
	release()
	mustAppend(t, l, "acme", newEvent("after"))
	if got := mustReadAll(t, l, "acme"); len(got) != 2 {
		t.Errorf("%d entries, want the 2 that a caller waited for", len(got))
	}
}

func TestBoltCheckMissesARemovedFile(t *testing.T) {
	path := newBoltPath(t)
	l := openBolt(t, path, BoltOptions{})
	if err := l.Check(t.Context()); err != nil {
		t.Errorf("a file in its place: %v", err)
	}
	os.Remove(path)
	if err := l.Check(t.Context()); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), path) {
		t.Errorf("a removed file: %v, want ErrUnavailable with the path", err)
	}
}

func TestBoltManyLogsKeepTheirOwn(t *testing.T) {
	l := openBolt(t, newBoltPath(t), BoltOptions{})
	want := make(map[string][]ID)
	for i := range 300 {
		log := "many-" + strconv.Itoa(i%100)
		want[log] = append(want[log], mustAppend(t, l, log, newEvent(strconv.Itoa(i)))...)
	}
	for log, ids := range want {
		if got := idsOf(mustReadAll(t, l, log)); !slices.Equal(got, ids) {
			t.Errorf("%s has %v, want %v", log, got, ids)
		}
	}
}
