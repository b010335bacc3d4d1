package streams

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

type scope struct {
	Types []string `json:"types"`
}

func TestRescopedSubscriptionGoesOnAtOnePosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		c := newClient(plenty)
		subscribe(t, hub, Request{Filter: mustFilter(t, filter.Clause{Types: []string{"a", "b"}})}, c)
		want := append(publish(t, log, "a", 1), publish(t, log, "b", 1)...)
		publish(t, log, "c", 1)
		synctest.Wait()
		c.sub.Rescope(mustFilter(t, filter.Clause{Types: []string{"b", "c"}}), scope{[]string{"b", "c"}})
		synctest.Wait()
		publish(t, log, "a", 1)
		want = append(want, publish(t, log, "c", 1)...)
		want = append(want, publish(t, log, "b", 1)...)
		synctest.Wait()
		wantIDs(t, c, want)
		if types := c.types(t); types[3] != "stream.scope" {
			t.Errorf("events are %q, want stream.scope after two", types)
		}
		if n := hub.Stats().Subscriptions; n != 1 {
			t.Errorf("there are %d subscriptions", n)
		}
	})
}

// A delivery that is under way was made for the old feed.
func TestRescopedSubscriptionGetsNothingOfADeliveryUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		narrow := mustFilter(t, filter.Clause{Types: []string{"b"}})
		subscribe(t, hub, Request{Filter: narrow}, newClient(plenty)) // the new feed is there
		both := mustFilter(t, filter.Clause{Types: []string{"a", "b"}})
		second := newClient(plenty)
		first := &interrupter{client: client{room: plenty}, during: func() {
			go second.sub.Rescope(narrow, scope{[]string{"b"}})
			time.Sleep(time.Millisecond) // until it is parked again
		}}
		sub, err := hub.Subscribe(t.Context(), Request{Log: "acme", Filter: both})
		if err != nil {
			t.Fatal(err)
		}
		first.sub = sub
		sub.Start(first, nil)
		subscribe(t, hub, Request{Filter: both}, second)
		synctest.Wait()
		first.armed.Store(true)
		publish(t, log, "a", 1)
		time.Sleep(time.Second)
		want := publish(t, log, "b", 1)
		synctest.Wait()
		wantIDs(t, second, want)
		if types := second.types(t); !slices.Equal(types, []string{"stream.open", "stream.scope", "b"}) {
			t.Errorf("events are %q", types)
		}
	})
}

// In a crowd, deliveries and changes of scope overlap all the time.
func TestRescopedCrowdGetsNothingOutsideItsScope(t *testing.T) {
	const readers, narrowed, events = 1000, 50, 100
	log := eventlog.NewMemoryLog(eventlog.MemoryOptions{})
	hub := NewHub(log, Options{})
	defer hub.Close()
	wide := mustFilter(t, filter.Clause{Types: []string{"a", "b"}})
	narrow := mustFilter(t, filter.Clause{Types: []string{"b"}})
	crowd := make([]*costly, readers)
	for i := range crowd {
		sub, err := hub.Subscribe(t.Context(), Request{Log: "acme", Filter: wide})
		if err != nil {
			t.Fatal(err)
		}
		crowd[i] = &costly{client{room: plenty, sub: sub}}
		sub.Start(crowd[i], nil)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for left := crowd; len(left) > 0; left = left[narrowed:] {
			for _, c := range left[:narrowed] {
				c.sub.Rescope(narrow, scope{[]string{"b"}})
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	for range events {
		publish(t, log, "a", 1)
		time.Sleep(3 * time.Millisecond)
	}
	group.Wait()
	last := publish(t, log, "b", 1)[0]
	for i, c := range crowd {
		for deadline := time.Now().Add(30 * time.Second); !c.holds(last); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("reader %d does not get the last event", i)
			}
		}
		types := c.types(t)
		scoped := slices.Index(types, "stream.scope")
		if scoped < 0 || slices.Contains(types[scoped:], "a") {
			t.Errorf("reader %d gets events outside its scope", i)
		}
	}
}

// costly takes as long for a write as a socket does.
type costly struct{ client }

func (c *costly) Write(p []byte) (int, error) {
	for began := time.Now(); time.Since(began) < 20*time.Microsecond; {
	}
	return c.client.Write(p)
}

// interrupter calls during within one write.
type interrupter struct {
	client
	armed  atomic.Bool
	during func()
}

func (c *interrupter) Write(p []byte) (int, error) {
	if c.armed.Swap(false) {
		c.during()
	}
	return c.client.Write(p)
}

func TestRescopedReaderThatLagsGetsNothingOfTheOldFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		after := mustBounds(t, log, "acme").Origin
		for range 3 * keepItems {
			publish(t, log, "a", 1)
			publish(t, log, "b", 1)
		}
		c := newClient(3000)
		subscribe(t, hub, Request{Start: Start{After: after}}, c)
		synctest.Wait()
		c.sub.Rescope(mustFilter(t, filter.Clause{Types: []string{"b"}}), scope{[]string{"b"}})
		last := publish(t, log, "b", 1)[0]
		for n := 0; !slices.Contains(c.ids(t), last); n++ {
			if n > 100 {
				t.Fatal("the reader never got to the end")
			}
			c.take(100_000)
			synctest.Wait()
		}
		types := c.types(t)
		at := slices.Index(types, "stream.scope")
		if at < 0 || slices.Contains(types[at:], "a") {
			t.Errorf("after stream.scope, event %d of %d, there is one of the old filter", at, len(types))
		}
		var before int
		for _, typ := range types[:at] {
			if typ == "b" {
				before++
			}
		}
		if n := len(slices.DeleteFunc(types[at:], func(typ string) bool { return typ != "b" })); n+before != 3*keepItems+1 {
			t.Errorf("of %d events that both filters let through %d came", 3*keepItems+1, n+before)
		}
	})
}

func TestWhatIsSaidComesBetweenEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		quiet, busy := newClient(plenty), newClient(250)
		subscribe(t, hub, Request{}, quiet)
		subscribe(t, hub, Request{}, busy)
		quiet.sub.Say("stream.expiring", scope{})
		synctest.Wait()
		if types := quiet.types(t); !slices.Equal(types, []string{"stream.open", "stream.expiring"}) {
			t.Errorf("a quiet client got %q", types)
		}
		publish(t, log, "a", 3)
		synctest.Wait()
		busy.sub.Say("stream.expiring", scope{})
		time.Sleep(time.Second)
		busy.take(plenty / 2)
		synctest.Wait()
		if types := busy.types(t); len(types) != 5 || !slices.Contains(types, "stream.expiring") {
			t.Errorf("a slow client got %q", types)
		}
		quiet.sub.Close(ErrGone)
		quiet.sub.Say("stream.expiring", scope{}) // too late, and harmless
	})
}

// Scopes change at random while events arrive. Each event that is shown passes
// the filter that the client was last told.
func TestFilterToldLastHolds(t *testing.T) {
	log := eventlog.NewMemoryLog(eventlog.MemoryOptions{})
	hub := NewHub(log, Options{})
	defer hub.Close()
	filters := []*filter.Filter{
		mustFilter(t, filter.Clause{Types: []string{"a"}}), mustFilter(t, filter.Clause{Types: []string{"b"}}), mustFilter(t),
	}
	allowed := []string{"a", "b", "ab"}
	var clients []*client
	for range 8 {
		c := newClient(plenty)
		subscribe(t, hub, Request{Filter: filters[2]}, c)
		clients = append(clients, c)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for n := range 2000 {
			mustAppend(t, log, "acme", func() eventlog.Event { e := newEvent(fmt.Sprint(n)); e.Type = allowed[n%2]; return e }())
		}
	})
	for i, c := range clients {
		running.Go(func() {
			for n := range 200 {
				k := (n + i) % 3
				c.sub.Rescope(filters[k], scope{[]string{allowed[k]}})
				time.Sleep(50 * time.Microsecond)
			}
		})
	}
	running.Wait()
	for _, c := range clients {
		may := "ab"
		for _, e := range c.events(t) {
			switch {
			case e.Type == "stream.scope":
				may = strings.Trim(string(e.Data), `{"types:[]}`)
			case len(e.Type) == 1 && !strings.Contains(may, e.Type):
				t.Fatalf("an event of type %s was shown when only %s may be", e.Type, may)
			}
		}
	}
}
