package streams

import (
	"sync/atomic"

	"github.com/paylogic/pushserver/streams/eventlog"

	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paylogic/pushserver/streams/filter"
)

func newTestHub(t *testing.T, retention eventlog.Retention) (*Hub, *eventlog.MemoryLog) {
	t.Helper()
	log := eventlog.NewMemoryLog(eventlog.MemoryOptions{Retention: retention})
	hub := NewHub(log, Options{})
	t.Cleanup(func() { hub.Close() })
	synctest.Wait() // until the hub listens for bells
	return hub, log
}

func mustFilter(t testing.TB, specs ...filter.Clause) *filter.Filter {
	t.Helper()
	f, err := filter.Compile(specs...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func subscribe(t testing.TB, hub *Hub, req Request, c *client) {
	t.Helper()
	if req.Log == "" {
		req.Log = "acme"
	}
	if req.Filter == nil {
		req.Filter = mustFilter(t)
	}
	sub, err := hub.Subscribe(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	c.sub = sub
	sub.Start(c, nil)
}

var published int

func publish(t *testing.T, log eventlog.Log, typ string, n int) []string {
	t.Helper()
	var ids []string
	for range n {
		published++
		receipts, err := log.Append(context.Background(), "acme", []eventlog.Event{{
			ID: fmt.Sprint(published), Source: "test", Type: typ, Merchant: "acme",
			Data: fmt.Appendf(nil, `{"n":%d}`, published),
		}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, receipts[0].ID.String())
	}
	return ids
}

func wantIDs(t *testing.T, c *client, want []string) {
	t.Helper()
	if got := c.ids(t); !slices.Equal(got, want) {
		t.Errorf("received %d events %v, want %d %v", len(got), got, len(want), want)
	}
}

func TestLiveSubscriberGetsWhatMatchesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		all, some := newClient(plenty), newClient(plenty)
		subscribe(t, hub, Request{}, all)
		subscribe(t, hub, Request{Filter: mustFilter(t, filter.Clause{Types: []string{"b"}})}, some)
		var want, wantB []string
		for range 50 {
			want = append(want, publish(t, log, "a", 2)...)
			b := publish(t, log, "b", 1)
			want, wantB = append(want, b...), append(wantB, b...)
		}
		synctest.Wait()
		wantIDs(t, all, want)
		wantIDs(t, some, wantB)
	})
}

func TestSlowSubscriberFallsBackToLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		slow := newClient(500)
		subscribe(t, hub, Request{}, slow)
		want := publish(t, log, "a", 3*keepItems) // far more than memory keeps
		synctest.Wait()
		for !slices.Equal(slow.ids(t), want) {
			before := slow.size()
			slow.take(7001)
			synctest.Wait()
			if slow.size() == before {
				t.Fatalf("stands still after %d of %d events", len(slow.ids(t)), len(want))
			}
		}
	})
}

func TestResumeContinuesExactlyAfterTheCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		want := publish(t, log, "a", 500)
		for _, at := range []int{0, 250, 498, 499} {
			id, err := eventlog.ParseID(want[at])
			if err != nil {
				t.Fatal(err)
			}
			c := newClient(plenty)
			subscribe(t, hub, Request{Start: Start{After: id}}, c)
			synctest.Wait()
			wantIDs(t, c, want[at+1:])
			if types := c.types(t); types[0] != "stream.open" || types[len(types)-1] != "stream.live" {
				t.Errorf("resumed at %d: begins with %s and ends with %s", at, types[0], types[len(types)-1])
			}
			c.sub.Close(ErrGone)
		}
	})
}

func TestGapIsAnnouncedAndEverythingRetainedFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{Events: 20})
		defer hub.Close()
		ids := publish(t, log, "a", 100)
		old, _ := eventlog.ParseID(ids[10])
		c := newClient(plenty)
		subscribe(t, hub, Request{Start: Start{After: old}}, c)
		synctest.Wait()
		wantIDs(t, c, ids[80:])
		types := c.types(t)
		if len(types) != 23 || types[0] != "stream.open" || types[1] != "stream.reset" || types[22] != "stream.live" {
			t.Errorf("types are %v, want open, reset, 20 events, live", types)
		}
		reset := string(c.events(t)[1].Data)
		want := fmt.Sprintf(`{"reason":"trimmed","requested":%q,"resume_from":%q,"oldest":%q}`, ids[10], ids[80], ids[80])
		if reset != want {
			t.Errorf("reset is %s, want %s", reset, want)
		}
	})
}

func TestForeignCursorIsAnsweredByAResetAndLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		publish(t, log, "a", 5)
		c := newClient(plenty)
		subscribe(t, hub, Request{Start: Start{Invalid: "garbage"}}, c)
		want := publish(t, log, "a", 1)
		synctest.Wait()
		if types := c.types(t); !slices.Equal(types, []string{"stream.open", "stream.reset", "stream.live", "a"}) {
			t.Errorf("types are %v", types)
		}
		wantIDs(t, c, want)
	})
}

func TestTailThatLosesItsPlaceResetsItsReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		c := newClient(plenty)
		subscribe(t, hub, Request{}, c)
		kept := publish(t, log, "a", 5)
		lost := publish(t, log, "a", 5)
		synctest.Wait()

		// A failover loses the newest five.
		log.Lose("acme", len(lost))
		time.Sleep(2 * lookAround)
		fresh := publish(t, log, "a", 1)
		synctest.Wait()

		want := slices.Concat(kept, lost, kept, fresh) // repeats are legal after a reset
		wantIDs(t, c, want)
		if n := hub.Stats().Resets; n != 1 {
			t.Errorf("%d resets, want 1", n)
		}
	})
}

func TestQuietFilteredStreamMovesItsCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{Age: 2 * time.Minute})
		defer hub.Close()
		c := newClient(plenty)
		subscribe(t, hub, Request{Filter: mustFilter(t, filter.Clause{Types: []string{"never"}})}, c)
		for range 40 {
			publish(t, log, "a", 1)
			time.Sleep(15 * time.Second)
		}
		synctest.Wait()
		events := c.events(t)
		last := events[len(events)-1]
		if last.Type != "stream.cursor" {
			t.Fatalf("the last event is %q, want stream.cursor", last.Type)
		}
		c.sub.Close(ErrGone)
		id, _ := eventlog.ParseID(last.ID)
		again := newClient(plenty)
		subscribe(t, hub, Request{Start: Start{After: id}}, again)
		synctest.Wait()
		if types := again.types(t); slices.Contains(types, "stream.reset") {
			t.Errorf("reconnecting gave %v, want no reset", types)
		}
	})
}

func TestClientThatTakesNothingIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		c := newClient(10)
		subscribe(t, hub, Request{}, c)
		publish(t, log, "a", 1)
		time.Sleep(stuckAfter + 2*lookAround)
		if !c.isClosed() {
			t.Error("the connection is open")
		}
		if n := hub.Stats().Subscriptions; n != 0 {
			t.Errorf("%d subscriptions are left", n)
		}
	})
}

func TestClientWhoseMachineIsGoneIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, _ := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		c := newClient(plenty)
		subscribe(t, hub, Request{}, c)
		c.mu.Lock()
		c.lost = true
		c.mu.Unlock()
		time.Sleep(16 * time.Second)
		synctest.Wait()
		if !c.isClosed() || hub.Stats().Subscriptions != 0 {
			t.Errorf("closed: %t; %d subscriptions are left", c.isClosed(), hub.Stats().Subscriptions)
		}
	})
}

func TestDrainSaysGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, _ := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		c := newClient(plenty)
		subscribe(t, hub, Request{}, c)
		hub.Drain(time.Second)
		synctest.Wait()
		if types := c.types(t); !slices.Equal(types, []string{"stream.open", "stream.goodbye"}) || !c.isClosed() {
			t.Errorf("types are %v, closed is %v", types, c.isClosed())
		}
		if _, err := hub.Subscribe(t.Context(), Request{Log: "acme", Filter: mustFilter(t)}); err != ErrDraining {
			t.Errorf("a new subscription got %v, want ErrDraining", err)
		}
	})
}

func TestServedSubscriberGetsTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		sub, err := hub.Subscribe(t.Context(), Request{Log: "acme", Filter: mustFilter(t)})
		if err != nil {
			t.Fatal(err)
		}
		c := &client{sub: sub, room: plenty}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- sub.Serve(ctx, c) }()
		want := publish(t, log, "a", 2000)
		time.Sleep(20 * time.Second)
		wantIDs(t, c, want)
		if !bytes.HasSuffix(c.got, []byte("\n\n:\n")) {
			t.Errorf("no heartbeat at the end of a quiet stream")
		}
		cancel()
		if err := <-done; err != ErrGone {
			t.Errorf("Serve returned %v, want ErrGone", err)
		}
	})
}

func TestCursorAheadOfTheTailWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &deafLog{MemoryLog: eventlog.NewMemoryLog(eventlog.MemoryOptions{})}
		hub := NewHub(log, Options{})
		defer hub.Close()
		first := newClient(plenty)
		subscribe(t, hub, Request{}, first)

		// The event's bell rang on the client's previous gateway, but not yet
		// here.
		ahead := log.appendUnheard(t)
		c := newClient(plenty)
		subscribe(t, hub, Request{Start: Start{After: ahead}}, c)
		synctest.Wait()
		want := publish(t, log, "a", 3)
		time.Sleep(2 * lookAround)
		wantIDs(t, c, want)
		wantIDs(t, first, append([]string{ahead.String()}, want...))
	})
}

func TestSubscriptionClosedWhileItsClientIsStuckEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		publish(t, log, "a", 300)
		c := newClient(5000)
		subscribe(t, hub, Request{Start: Start{Since: time.Now().Add(-time.Minute)}}, c)
		c.sub.End(Goodbye{Reason: "test"})
		synctest.Wait()
		if n := hub.Stats().Subscriptions; n != 0 || !c.isClosed() {
			t.Errorf("%d subscriptions are left, closed is %v", n, c.isClosed())
		}
	})
}

// A trickle takes each write in small pieces, and signals that it is writable
// during the write.
type trickle struct {
	client
	piece int
}

func (c *trickle) Write(p []byte) (int, error) {
	n, err := c.client.Write(p[:min(len(p), c.piece)])
	if n < len(p) {
		go c.sub.Resume()
	}
	return n, err
}

func TestEventsStayWholeWhenTheClientTakesThemInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		sub, err := hub.Subscribe(t.Context(), Request{Log: "acme", Filter: mustFilter(t)})
		if err != nil {
			t.Fatal(err)
		}
		c := &trickle{client: client{sub: sub, room: plenty}, piece: 7}
		sub.Start(c, nil)
		var want []string
		for range 30 {
			want = append(want, publish(t, log, "a", 3)...)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		wantIDs(t, &c.client, want)
	})
}

func TestLongPollBehindTheTailDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &deafLog{MemoryLog: eventlog.NewMemoryLog(eventlog.MemoryOptions{})}
		hub := NewHub(log, Options{})
		defer hub.Close()
		subscribe(t, hub, Request{}, newClient(plenty))
		ahead := log.appendUnheard(t)
		page, err := hub.Page(t.Context(), PageRequest{Log: "acme", Filter: mustFilter(t), Start: Start{After: ahead}, Limit: 1, Wait: 5 * time.Second})
		if err != nil || len(page.Entries) != 0 {
			t.Errorf("got %v, %v, want an empty page", page, err)
		}
		if n := hub.Stats().Reads; n > 10 {
			t.Errorf("%d reads of the log", n)
		}
	})
}

// A deafLog loses the bell of an event on request.
type deafLog struct {
	*eventlog.MemoryLog
	deaf atomic.Bool
}

func (l *deafLog) Bells(ctx context.Context, ring func(string)) {
	l.MemoryLog.Bells(ctx, func(log string) {
		if !l.deaf.Load() {
			ring(log)
		}
	})
}

// appendUnheard appends an event without ringing its bell.
func (l *deafLog) appendUnheard(t *testing.T) eventlog.ID {
	t.Helper()
	l.deaf.Store(true)
	defer l.deaf.Store(false)
	id := mustAppend(t, l, "acme", eventlog.Event{ID: "unheard", Source: "test", Type: "a", Merchant: "acme"})[0]
	synctest.Wait()
	return id
}
