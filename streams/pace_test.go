package streams

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

// publishLarge publishes n events of 100 KB.
func publishLarge(t *testing.T, log eventlog.Log, n int) (ids []string) {
	t.Helper()
	for range n {
		published++
		e := newEvent(fmt.Sprint("large", published))
		e.Data = fmt.Appendf(nil, `"%s"`, bytes.Repeat([]byte("x"), 100_000))
		ids = append(ids, mustAppend(t, log, "acme", e)[0].String())
	}
	return ids
}

func TestWhatIsReadAtOnceIsBoundedByItsSize(t *testing.T) {
	var p pace
	if n := p.limit(batchBytes, batchMost); n < 1 || n > firstReadMost {
		t.Errorf("from an unknown log %d entries are read, want 1 to %d", n, firstReadMost)
	}
	small, large := make([]eventlog.Entry, 10), make([]eventlog.Entry, 2)
	for i := range large {
		large[i].Event.Data = make([]byte, 256<<10)
	}
	p.learn(small)
	if n := p.limit(batchBytes, batchMost); n < 100 || n > batchMost {
		t.Errorf("of small entries %d are read, want 100 to %d", n, batchMost)
	}
	p.learn(large)
	if n := p.limit(tailBytes, tailMost); n < 2 || n > 4 {
		t.Errorf("of entries of 256 KiB %d are read, want 1 MiB", n)
	}
	if n := p.limit(batchBytes, batchMost); n != 1 {
		t.Errorf("of entries of 256 KiB %d are read for one reader, want 1", n)
	}
	p.learn(small)
	for range 10 {
		p.slow()
	}
	if n := p.limit(tailBytes, tailMost); n != 1 {
		t.Errorf("after many failures %d entries are read, want 1", n)
	}
}

func TestSlowReaderOfLargeEventsReadsEachOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		want := publishLarge(t, log, 100)
		c := newClient(1000)
		subscribe(t, hub, Request{Start: Start{After: mustBounds(t, log, "acme").Origin}}, c)
		for range 1200 {
			c.take(10_000)
			synctest.Wait()
		}
		wantIDs(t, c, want)
		if n := hub.Stats().Reads; n > 110 {
			t.Errorf("the log was read %d times for 100 events", n)
		}
	})
}

func TestTailKeepsNoMoreThanItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		subscribe(t, hub, Request{}, newClient(plenty))
		publishLarge(t, log, 100)
		synctest.Wait()
		st, err := hub.tail(context.Background(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		st.mu.Lock()
		defer st.mu.Unlock()
		for _, f := range st.feeds {
			if len(f.items) != len(st.items) || len(st.items) > keepBytes/100_000 {
				t.Errorf("the feed keeps %d items and the stream %d, of 100 KB each", len(f.items), len(st.items))
			}
		}
	})
}

func TestPageOfLargeEventsEndsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		want := publishLarge(t, log, 20)
		req := PageRequest{Log: "acme", Filter: mustFilter(t), Start: Start{Oldest: true}, Limit: 1000}
		var got []string
		for {
			page, err := hub.Page(context.Background(), req)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(page.Entries); n == 0 || n > 4 {
				t.Fatalf("a page has %d events of 100 KB", n)
			}
			for _, e := range page.Entries {
				got = append(got, e.ID.String())
			}
			if req.Start.After = page.Cursor; !page.More {
				break
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("pages have %v, want %v", got, want)
		}
	})
}

func TestOldestEventIsRefreshed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{Events: 10})
		defer hub.Close()
		publish(t, log, "a", 1)
		subscribe(t, hub, Request{}, newClient(plenty))
		ids := publish(t, log, "a", 100)
		time.Sleep(linger)
		subscribe(t, hub, Request{}, newClient(plenty)) // sends the request
		synctest.Wait()
		c := newClient(plenty)
		subscribe(t, hub, Request{}, c)
		synctest.Wait()
		if open := string(c.events(t)[0].Data); !bytes.Contains([]byte(open), []byte(`"oldest":"`+ids[90]+`"`)) {
			t.Errorf("stream.open says %s, want the oldest event, %s", open, ids[90])
		}
	})
}

func TestLongPollsReadTheLogForWhatTheySee(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		head := publish(t, log, "a", 1)[0]
		after, _ := eventlog.ParseID(head)
		type answer struct {
			page Page
			err  error
		}
		poll := func(types ...string) <-chan answer {
			done := make(chan answer, 1)
			req := PageRequest{Log: "acme", Filter: mustFilter(t, filter.Clause{Types: types}), Start: Start{After: after}, Limit: 10, Wait: 30 * time.Second}
			go func() {
				page, err := hub.Page(context.Background(), req)
				done <- answer{page, err}
			}()
			return done
		}
		never, some, drained := poll("never"), poll("b"), poll("never", "either")
		synctest.Wait()
		reads := hub.Stats().Reads
		var last string
		for range 100 {
			last = publish(t, log, "a", 1)[0]
			time.Sleep(100 * time.Millisecond)
		}
		if n := hub.Stats().Reads - reads; n > 3 {
			t.Errorf("three polls read the log %d times for events that they do not see", n)
		}
		want := publish(t, log, "b", 1)[0]
		if a := <-some; a.err != nil || len(a.page.Entries) != 1 || a.page.Entries[0].ID.String() != want {
			t.Errorf("the poll got %+v, want %s", a, want)
		}
		time.Sleep(30 * time.Second)
		if a := <-never; a.err != nil || len(a.page.Entries) != 0 || a.page.Cursor.String() != want {
			t.Errorf("a poll that saw nothing got %+v, want the cursor %s beyond %s", a, want, last)
		}
		<-drained
		waits := poll("never")
		synctest.Wait()
		hub.Drain(time.Second)
		if a := <-waits; a.err != nil || a.page.Reset != nil {
			t.Errorf("a poll got %+v when the hub was drained, want what there is", a)
		}
	})
}
