package streams

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paylogic/pushserver/streams/eventlog"
)

func TestRatePacesAndDropsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		past := publish(t, log, "a", 25)
		origin, _ := eventlog.ParseID(past[0])
		behind, live := newClient(plenty), newClient(plenty)
		subscribe(t, hub, Request{Start: Start{After: origin}, Rate: 10}, behind)
		subscribe(t, hub, Request{Rate: 10}, live)
		synctest.Wait()
		now := publish(t, log, "a", 25)
		synctest.Wait()
		all := append(past[1:], now...)
		most := 10
		for range 8 {
			for name, c := range map[string]*client{"behind": behind, "live": live} {
				if got := len(c.ids(t)); got > most {
					t.Fatalf("%s got %d events after so many seconds, want at most %d", name, got, most)
				}
			}
			time.Sleep(time.Second)
			synctest.Wait()
			most += 10
		}
		wantIDs(t, behind, all)
		wantIDs(t, live, now)
	})
}

func TestRateOfAMinuteIsNotOneOfASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		c := newClient(plenty)
		subscribe(t, hub, Request{Rate: 5, RateWindow: time.Minute}, c)
		synctest.Wait()
		sent := publish(t, log, "a", 12)
		time.Sleep(61 * time.Second)
		if got := len(c.ids(t)); got > 10 {
			t.Errorf("after 61 s it got %d events, want at most 10", got)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		wantIDs(t, c, sent)
	})
}

func TestReplayIsCountedAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		ids := publish(t, log, "a", keepItems+500) // more than memory holds
		first, _ := eventlog.ParseID(ids[0])
		c := newClient(plenty)
		var counted, calls atomic.Int64
		subscribe(t, hub, Request{Start: Start{After: first}, ChargeReplay: func(n int) time.Duration {
			counted.Add(int64(n))
			calls.Add(1)
			return 2 * time.Second
		}}, c)
		synctest.Wait()
		if calls.Load() != 1 || len(c.ids(t)) != int(counted.Load()) {
			t.Errorf("%d reads at once brought %d events, of which %d were counted; want one read", calls.Load(), len(c.ids(t)), counted.Load())
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		wantIDs(t, c, ids[1:])
		if counted.Load() < 499 || calls.Load() < 2 {
			t.Errorf("%d events were counted in %d reads", counted.Load(), calls.Load())
		}
	})
}
