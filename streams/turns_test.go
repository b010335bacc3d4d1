package streams

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestTurnsAreInTheOrderInWhichTheyWereAskedFor(t *testing.T) {
	turns := newTurns()
	turns.free = 1
	<-turns.ask()
	first, gone, second := turns.ask(), turns.ask(), turns.ask()
	turns.leave(gone)
	for name, turn := range map[string]<-chan struct{}{"first": first, "second": second} {
		select {
		case <-turn:
			t.Fatalf("the %s has a turn while another does", name)
		default:
		}
	}
	turns.give()
	<-first
	turns.leave(second)
	last := turns.ask()
	turns.leave(first) // who has it already gives it back
	<-last
	turns.give()
	if turns.free != 1 {
		t.Errorf("%d turns are free at the end, want 1", turns.free)
	}
}

func TestTurnThatLastsTooLongIsHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns()
		turns.free = 1
		<-turns.ask()
		end := turns.begin()
		start := time.Now()
		<-turns.ask()
		if waited := time.Since(start); waited != turnTime {
			t.Errorf("the next one waited %s, want %s", waited, turnTime)
		}
		end()
		turns.give()
		if turns.free != 1 {
			t.Errorf("%d turns are free at the end, want 1", turns.free)
		}
	})
}

func TestStormOfLateReadersReadsInTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, Retention{})
		defer hub.Close()
		hub.turns.free = 1
		ids := publish(t, log, "a", 3*keepItems)
		after, _ := ParseID(ids[0])
		<-hub.turns.ask() // until all are there
		storm, served := make([]*client, 50), make([]int, 50)
		for i := range storm {
			storm[i] = newClient(plenty)
			subscribe(t, hub, Request{After: after, Replayed: func(int) time.Duration {
				// Only one is served at a time, so that served needs no mutex.
				if served[i]++; served[i] > slices.Min(served)+2 {
					t.Errorf("reader %d was served %d times when another was %d times", i, served[i], slices.Min(served))
				}
				return 0
			}}, storm[i])
		}
		synctest.Wait()
		hub.turns.give()
		synctest.Wait()
		for _, c := range storm {
			wantIDs(t, c, ids[1:])
		}
	})
}

func TestReaderThatWaitsForItsTurnIsAliveAndCanBeEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, Retention{})
		defer hub.Close()
		ids := publish(t, log, "a", 3*keepItems)
		after, _ := ParseID(ids[0])
		free := hub.turns.free
		for range free {
			<-hub.turns.ask()
		}
		c := newClient(plenty)
		subscribe(t, hub, Request{After: after}, c)
		synctest.Wait()
		before := c.size()
		time.Sleep(2 * hub.heartbeat)
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
		subscribe(t, hub, Request{After: after}, ended)
		synctest.Wait()
		ended.sub.End(Goodbye{Reason: "test"})
		time.Sleep(2 * lookAround)
		synctest.Wait()
		if got := ended.types(t); got[len(got)-1] != "stream.goodbye" || !ended.isClosed() {
			t.Errorf("the one that ended got %s last", got[len(got)-1])
		}
		for range free {
			hub.turns.give()
		}
		synctest.Wait()
		wantIDs(t, c, ids[1:])
		time.Sleep(time.Second)
		if hub.turns.free != free {
			t.Errorf("%d turns are free at the end, want %d", hub.turns.free, free)
		}
	})
}
