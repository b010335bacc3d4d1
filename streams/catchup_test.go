package streams

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paylogic/pushserver/streams/eventlog"
)

// granted returns the names of the turns that were granted.
func granted(turns map[string]*turn) (names []string) {
	for name, u := range turns {
		select {
		case <-u.granted:
			names = append(names, name)
		default:
		}
	}
	slices.Sort(names)
	return names
}

func TestTurnsGoRoundTheLogsAndAreInOrderWithinOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newCatchup(nil)
		turns.free = 1
		all := make(map[string]*turn)
		for _, name := range []string{"a1", "a2", "gone", "a3", "b1", "a4", "b2"} {
			all[name] = turns.acquire(name[:1])
		}
		turns.release(all["gone"])
		for i, name := range []string{"a1", "a2", "b1", "a3", "b2", "a4"} {
			if got := granted(all); len(got) != i+1 || !slices.Contains(got, name) {
				t.Fatalf("after %d turns have ended %q have come, want %s as the next", i, got, name)
			}
			turns.release(all[name])
		}
		if turns.free != 1 || len(turns.logs)+len(turns.waiting) != 0 {
			t.Errorf("at the end %d turns are free, and %v and %v are left", turns.free, turns.logs, turns.waiting)
		}
	})
}

func TestTurnThatLastsTooLongIsHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newCatchup(nil)
		turns.free = 1
		long := turns.acquire("a")
		start := time.Now()
		next := turns.acquire("b")
		<-next.granted
		if waited := time.Since(start); waited != turnTime {
			t.Errorf("the next one waited %s, want %s", waited, turnTime)
		}
		turns.release(long)
		turns.release(next)
		if turns.free != 1 {
			t.Errorf("%d turns are free at the end, want 1", turns.free)
		}
	})
}

// holdTurns takes all free turns of the hub until release is called. These
// turns do not expire.
func holdTurns(hub *Hub) (release func()) {
	hub.catchup.mu.Lock()
	defer hub.catchup.mu.Unlock()
	free := hub.catchup.free
	hub.catchup.free = 0
	return func() {
		hub.catchup.mu.Lock()
		defer hub.catchup.mu.Unlock()
		for range free {
			hub.catchup.next()
		}
	}
}

// fallBehind returns a position that is no longer in memory, and the ids of the
// events after it.
func fallBehind(t *testing.T, log eventlog.Log) (after eventlog.ID, missed []string) {
	t.Helper()
	ids := publish(t, log, "a", 3*keepItems)
	after, err := eventlog.ParseID(ids[0])
	if err != nil {
		t.Fatal(err)
	}
	return after, ids[1:]
}

func TestStormOfLateReadersReadsInTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		hub.catchup.free = 1
		after, missed := fallBehind(t, log)
		release := holdTurns(hub) // until all readers are there
		storm := make([]*client, 50)
		// Readers that wait during a turn are served before the reader of that
		// turn is served again. Turns do not overlap, so these variables need
		// no mutex.
		turns, last := 0, -1
		due := make([]int, len(storm))
		for i := range storm {
			storm[i] = newClient(plenty)
			subscribe(t, hub, Request{Start: Start{After: after}, ChargeReplay: func(int) time.Duration {
				if i == last {
					return 0 // the same turn
				}
				last = i
				if turns++; turns < due[i] {
					t.Errorf("reader %d was served in turn %d, before turn %d", i, turns, due[i])
				}
				hub.catchup.mu.Lock()
				due[i] = turns + len(hub.catchup.waiting["acme"]) + 1
				hub.catchup.mu.Unlock()
				return 0
			}}, storm[i])
		}
		synctest.Wait()
		clear(due) // the first reads need no turn
		release()
		synctest.Wait()
		for _, c := range storm {
			wantIDs(t, c, missed)
		}
	})
}

func TestReaderThatWaitsForItsTurnIsAliveAndCanBeEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		after, missed := fallBehind(t, log)
		release := holdTurns(hub)
		c := newClient(plenty)
		subscribe(t, hub, Request{Start: Start{After: after}}, c)
		synctest.Wait()
		before := c.size()
		time.Sleep(2 * hub.heartbeats.interval)
		synctest.Wait()
		if c.size() == before {
			t.Error("while it waits it gets nothing")
		}
		c.sub.Say("stream.expiring", struct{}{})
		time.Sleep(2 * lookAround)
		synctest.Wait()
		if got := c.types(t); got[len(got)-1] != "stream.expiring" {
			t.Errorf("the last of %d events is %s", len(got), got[len(got)-1])
		}
		ended := newClient(plenty)
		subscribe(t, hub, Request{Start: Start{After: after}}, ended)
		synctest.Wait()
		ended.sub.End(Goodbye{Reason: "test"})
		time.Sleep(2 * lookAround)
		synctest.Wait()
		if got := ended.types(t); got[len(got)-1] != "stream.goodbye" || !ended.isClosed() {
			t.Errorf("the one that ended got %s last", got[len(got)-1])
		}
		release()
		synctest.Wait()
		wantIDs(t, c, missed)
		if n := len(hub.catchup.waiting); n != 0 || hub.catchup.free == 0 {
			t.Errorf("at the end %d logs wait and %d turns are free", n, hub.catchup.free)
		}
	})
}

func TestReaderThatWaitsForItsTurnIsNotToldThatItIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		c := newClient(1000)
		subscribe(t, hub, Request{}, c)
		synctest.Wait()
		want := publish(t, log, "a", 2*keepItems) // more than the client takes and memory holds
		synctest.Wait()
		release := holdTurns(hub)
		c.take(plenty)
		time.Sleep(2*hub.heartbeats.interval + lookAround/2) // a heartbeat may be due
		release()
		synctest.Wait()
		if strings.Contains(string(c.text()), "stream.lag") {
			t.Error("it is told so")
		}
		wantIDs(t, c, want)
	})
}

func TestServedReaderThatLeavesWhileItWaitsForItsTurnIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		after, _ := fallBehind(t, log)
		defer holdTurns(hub)()
		sub, err := hub.Subscribe(t.Context(), Request{Log: "acme", Filter: mustFilter(t), Start: Start{After: after}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- sub.Serve(ctx, newClient(plenty)) }()
		synctest.Wait()
		leave()
		start := time.Now()
		if err := <-served; !errors.Is(err, ErrGone) || time.Since(start) > lookAround {
			t.Errorf("it ends after %s with %v", time.Since(start), err)
		}
		if n := len(hub.catchup.waiting); n != 0 {
			t.Error("it waits on")
		}
	})
}

// A mutedLog is a log whose storage does not answer while it is muted.
type mutedLog struct {
	*eventlog.MemoryLog
	muted atomic.Bool
}

func (l *mutedLog) Read(ctx context.Context, log string, after eventlog.ID, limit int) (eventlog.Batch, error) {
	if l.muted.Load() {
		return eventlog.Batch{}, eventlog.ErrUnavailable
	}
	return l.MemoryLog.Read(ctx, log, after, limit)
}

func (l *mutedLog) Moved(ctx context.Context, heads map[string]eventlog.ID) (moved, silent []string, err error) {
	time.Sleep(time.Millisecond)
	if !l.muted.Load() {
		return l.MemoryLog.Moved(ctx, heads)
	}
	for log := range heads {
		silent = append(silent, log)
	}
	return nil, silent, eventlog.ErrUnavailable
}

func TestReadersOfASilentLogTakeNoTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &mutedLog{MemoryLog: eventlog.NewMemoryLog(eventlog.MemoryOptions{})}
		hub := NewHub(log, Options{})
		defer hub.Close()
		after, missed := fallBehind(t, log)
		release := holdTurns(hub)
		c := newClient(plenty)
		subscribe(t, hub, Request{Start: Start{After: after}}, c)
		synctest.Wait()
		log.muted.Store(true)
		time.Sleep(2 * lookAround)
		release()
		reads := hub.Stats().Reads
		time.Sleep(10 * lookAround)
		synctest.Wait()
		if n := hub.Stats().Reads - reads; n != 0 {
			t.Errorf("the silent log was read %d times", n)
		}
		time.Sleep(lookAround / 2)
		log.muted.Store(false)
		time.Sleep(lookAround) // one look, which finds the log
		synctest.Wait()
		wantIDs(t, c, missed)
	})
}
