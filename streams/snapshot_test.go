package streams

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

// publishState publishes the state of a subject of acme.
func publishState(t testing.TB, log eventlog.Log, subject, data string) string {
	t.Helper()
	published++
	e := newState(fmt.Sprint("s", published), subject, data)
	return mustAppend(t, log, "acme", e)[0].String()
}

// told returns the events so far: subject=data, or the type of a control event,
// with @ before events that move the position.
func (c *client) told(t *testing.T) []string {
	t.Helper()
	var all []string
	last := ""
	for _, e := range c.events(t) {
		text := e.Type
		if !strings.HasPrefix(e.Type, "stream.") {
			_, subject, _ := strings.Cut(string(e.Data), `"subject":"`)
			subject, _, _ = strings.Cut(subject, `"`)
			_, data, _ := strings.Cut(string(e.Data), `"data":`)
			text = subject + "=" + strings.TrimSuffix(data, "}")
		}
		if e.ID != last { // an event without id repeats the previous one
			text = "@" + text
		}
		last = e.ID
		all = append(all, text)
	}
	return all
}

func wantTold(t *testing.T, c *client, want ...string) {
	t.Helper()
	if got := c.told(t); !slices.Equal(got, want) {
		t.Errorf("the client was told\n%q, want\n%q", got, want)
	}
}

func TestSnapshotComesFirstAndThenWhatChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{Events: 2})
		defer hub.Close()
		early := newClient(plenty)
		subscribe(t, hub, Request{}, early) // the stream exists before the first request for states
		publishState(t, log, "a", "1")
		publishState(t, log, "b", "2")
		publishState(t, log, "c", "3")
		publishState(t, log, "c", "null")
		at := publishState(t, log, "a", "4")
		synctest.Wait()

		c, some := newClient(plenty), newClient(plenty)
		subscribe(t, hub, Request{Start: Start{Snapshot: true}}, c)
		subscribe(t, hub, Request{Start: Start{Snapshot: true}, Filter: mustFilter(t, filter.Clause{Subjects: []string{"b"}})}, some)
		publishState(t, log, "b", "5")
		synctest.Wait()
		wantTold(t, c, "stream.open", "b=2", "a=4", "@stream.live", "@b=5")
		wantTold(t, some, "stream.open", "b=2", "@stream.live", "@b=5")
		if got := c.events(t)[3].ID; got != at {
			t.Errorf("stream.live has the position %s, want that of the snapshot, %s", got, at)
		}

		again, back := newClient(plenty), newClient(plenty)
		subscribe(t, hub, Request{Start: Start{Snapshot: true}}, again)
		id, _ := eventlog.ParseID(at)
		subscribe(t, hub, Request{Start: Start{Snapshot: true, After: id}}, back) // a page that reconnects sends its first URL again
		synctest.Wait()
		wantTold(t, again, "stream.open", "a=4", "b=5", "@stream.live")
		wantTold(t, back, "@stream.open", "@b=5", "stream.live")
	})
}

func TestSnapshotNeverShowsAnOlderStateAfterANewerOne(t *testing.T) {
	for name, open := range map[string]func(*testing.T) eventlog.Log{
		"memory": func(*testing.T) eventlog.Log { return eventlog.NewMemoryLog(eventlog.MemoryOptions{}) },
		"redis":  func(t *testing.T) eventlog.Log { return openCluster(t) },
	} {
		t.Run(name, func(t *testing.T) {
			log := open(t)
			hub := NewHub(log, Options{})
			defer hub.Close()
			name := "counters"
			const last = 200
			var clients []*client
			var running sync.WaitGroup
			running.Go(func() {
				for n := range last + 1 {
					mustAppend(t, log, name, newState(fmt.Sprint(n), "counter", fmt.Sprint(n)))
				}
			})
			for range 50 {
				c := newClient(plenty)
				clients = append(clients, c)
				subscribe(t, hub, Request{Log: name, Start: Start{Snapshot: true}}, c)
			}
			running.Wait()
			deadline := time.Now().Add(10 * time.Second)
			for _, c := range clients {
				for !strings.Contains(string(c.text()), fmt.Sprintf(`"data":%d}`, last)) {
					if time.Now().After(deadline) {
						t.Fatalf("a client never saw the last state: %q", c.told(t))
					}
					time.Sleep(time.Millisecond)
				}
				shown := -1
				for _, text := range c.told(t) {
					var n int
					if _, err := fmt.Sscanf(strings.TrimPrefix(text, "@"), "counter=%d", &n); err == nil {
						if n <= shown {
							t.Fatalf("%d was shown after %d", n, shown)
						}
						shown = n
					}
				}
			}
		})
	}
}

func TestResetTellsTheStatesThatNothingLaterTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{Events: 3})
		defer hub.Close()
		id, _ := eventlog.ParseID(publishState(t, log, "a", "1"))
		publishState(t, log, "b", "1")
		publishState(t, log, "c", "1")
		publishState(t, log, "c", "2")
		publishState(t, log, "b", "3")
		publish(t, log, "payment.failed", 1)

		late, foreign := newClient(plenty), newClient(plenty)
		subscribe(t, hub, Request{Start: Start{After: id}}, late)
		subscribe(t, hub, Request{Start: Start{Invalid: "$"}}, foreign)
		synctest.Wait()
		wantTold(t, foreign, "stream.open", "stream.reset", "a=1", "c=2", "b=3", "@stream.live")
		told := late.told(t)
		if want := []string{"stream.open", "stream.reset", "a=1", "@c=2", "@b=3"}; !slices.Equal(told[:len(want)], want) || len(told) != 7 {
			t.Errorf("a late client was told %q, want %q, a payment and stream.live", told, want)
		}
	})
}

func TestRollbackUnderALiveReaderTellsTheStatesThatAreLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		publishState(t, log, "a", "1")
		time.Sleep(time.Minute)
		c := newClient(plenty)
		subscribe(t, hub, Request{Start: Start{Snapshot: true}}, c)
		publishState(t, log, "b", "1")
		publishState(t, log, "b", "2")
		synctest.Wait()
		log.Lose("acme", 1)
		publishState(t, log, "c", "3")
		synctest.Wait()
		wantTold(t, c, "stream.open", "a=1", "@stream.live", "@b=1", "@b=2",
			"stream.reset", "a=1", "@b=1", "@c=3", "stream.live")
	})
}

func TestLaggingReaderSkipsWhatWasSupersededAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		slow, whole := newClient(2000), newClient(2000)
		subscribe(t, hub, Request{Conflate: true}, slow)
		subscribe(t, hub, Request{}, whole)
		newest := make(map[string]string)
		var payments []string
		for n := range 10_000 {
			subject := fmt.Sprint("event/", n%20)
			publishState(t, log, subject, fmt.Sprint(n))
			newest[subject] = fmt.Sprint("@", subject, "=", n)
			if n%200 == 0 {
				payments = append(payments, publish(t, log, "payment.succeeded", 1)...)
			}
		}
		for range 400 {
			slow.take(2000)
			whole.take(10_000)
			time.Sleep(time.Second)
			synctest.Wait()
		}
		told := slow.told(t)
		for _, want := range newest {
			if !slices.Contains(told, want) {
				t.Errorf("the slow reader never got %s", want)
			}
		}
		got := 0
		for _, e := range slow.events(t) {
			if slices.Contains(payments, e.ID) {
				got++
			}
		}
		if got != len(payments) || len(told) > 2000 {
			t.Errorf("the slow reader got %d events and %d of %d payments", len(told), got, len(payments))
		}
		if n := len(whole.ids(t)); n != 10_050 {
			t.Errorf("a reader that does not conflate got %d events, want 10050", n)
		}
	})
}

func TestHistoryIsNotConflated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		var want []string
		after := mustBounds(t, log, "acme").Origin
		for n := range 3 * keepItems {
			want = append(want, publishState(t, log, "a", fmt.Sprint(n)))
		}
		c := newClient(plenty)
		subscribe(t, hub, Request{Start: Start{After: after}, Conflate: true}, c)
		synctest.Wait()
		wantIDs(t, c, want)
	})
}

func TestReaderThatLagsIsToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		c := newClient(500)
		subscribe(t, hub, Request{}, c)
		publish(t, log, "a", 3*keepItems)
		time.Sleep(time.Second / 2) // so that it is blocked when a heartbeat is due
		for range 40 {
			c.take(10_000)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if !slices.Contains(c.types(t), "stream.lag") {
			t.Errorf("a reader that is far behind for two heartbeats was told %q", slices.Compact(c.types(t)))
		}
	})
}

func TestSubscriptionEndsWhenItHasLastedLongEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := eventlog.NewMemoryLog(eventlog.MemoryOptions{})
		hub := NewHub(log, Options{MaxAge: time.Hour})
		defer hub.Close()
		c := newClient(plenty)
		subscribe(t, hub, Request{}, c)
		time.Sleep(53 * time.Minute)
		synctest.Wait()
		if c.isClosed() {
			t.Error("the subscription ended after 53 minutes of 60")
		}
		time.Sleep(14 * time.Minute)
		synctest.Wait()
		events := c.events(t)
		if last := events[len(events)-1]; !c.isClosed() || last.Type != "stream.goodbye" || last.Retry < retryTime ||
			!strings.Contains(string(last.Data), `"reason":"max_age","reconnect":true`) {
			t.Errorf("after 67 minutes of 60 the last event was %+v, closed: %t", last, c.isClosed())
		}
	})
}

func TestStateOfAFeedIsThatOfItsPosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		publishState(t, log, "a", "1")
		publishState(t, log, "b", "2")
		head := publish(t, log, "a", 1)[0]
		s, err := hub.State(context.Background(), "acme", mustFilter(t, filter.Clause{Subjects: []string{"b"}}))
		if err != nil || s.Head.String() != head || len(s.Entries) != 1 || s.Entries[0].Event.Subject != "b" {
			t.Errorf("the state is %+v, %v; want b alone at %s", s, err, head)
		}
	})
}
