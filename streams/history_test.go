package streams

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

func mustCompile(t *testing.T, types string) *filter.Filter {
	t.Helper()
	f, err := filter.Compile(filter.Clause{Types: []string{types}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// The tail matches every event against every feed. Feeds of pages must not pile up.
func TestFeedLeavesWithTheLastPageThatWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		head := mustAppend(t, log, "acme", eventlog.Event{ID: "first", Source: "test", Type: "a", Merchant: "acme"})[0]
		for i := range 300 {
			page, err := hub.Page(t.Context(), PageRequest{
				Log: "acme", Filter: mustCompile(t, fmt.Sprintf("w.%d", i)), Start: Start{After: head}, Limit: 1, Wait: 50 * time.Millisecond,
			})
			if err != nil || len(page.Entries) != 0 {
				t.Fatalf("got %v, %v, want an empty page", page, err)
			}
			if n := hub.Stats().Feeds; n != 0 {
				t.Fatalf("%d feeds after page %d", n, i)
			}
		}
	})
}

// While a page waits, its feed remembers what did not match. A page that had to read
// the log again for each event would be slower than the events.
func TestWaitingPageDoesNotReadTheLogForWhatDoesNotMatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		head := mustAppend(t, log, "acme", eventlog.Event{ID: "first", Source: "test", Type: "a", Merchant: "acme"})[0]
		done := make(chan Page)
		go func() {
			page, err := hub.Page(t.Context(), PageRequest{
				Log: "acme", Filter: mustCompile(t, "wanted"), Start: Start{After: head}, Limit: 1, Wait: time.Minute,
			})
			if err != nil {
				t.Error(err)
			}
			done <- page
		}()
		synctest.Wait()
		for i := range 100 {
			mustAppend(t, log, "acme", eventlog.Event{ID: fmt.Sprint("b", i), Source: "test", Type: "b", Merchant: "acme"})
			synctest.Wait()
		}
		mustAppend(t, log, "acme", eventlog.Event{ID: "wanted", Source: "test", Type: "wanted", Merchant: "acme"})
		page := <-done
		if len(page.Entries) != 1 || page.Entries[0].Event.Type != "wanted" || page.Read > 102 {
			t.Errorf("got %d events after %d that were read", len(page.Entries), page.Read)
		}
	})
}
