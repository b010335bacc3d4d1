package streams

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paylogic/pushserver/streams/eventlog"
)

// quietFramings are for EventSource in pages that know no control events.
var quietFramings = []Framing{SSEUnnamed, SSEChannel}

// lastID returns what EventSource would send as Last-Event-ID: the last id of a
// block that has ended.
func (c *client) lastID(t *testing.T) eventlog.ID {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	found := regexp.MustCompile(`(?m)^id: (.*)\n(?:.+\n)*\n`).FindAllSubmatch(c.got, -1)
	if len(found) == 0 {
		return eventlog.ID{}
	}
	id, err := eventlog.ParseID(string(found[len(found)-1][1]))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestQuietFramingKeepsItsPlace(t *testing.T) {
	for _, f := range quietFramings {
		for _, first := range []int{0, 1} { // events in the log before
			synctest.Test(t, func(t *testing.T) {
				hub, log := newTestHub(t, eventlog.Retention{})
				defer hub.Close()
				publish(t, log, "a", first)
				early := newClient(plenty)
				subscribe(t, hub, Request{Framing: f}, early)
				synctest.Wait()
				if n := len(early.events(t)); n != 0 {
					t.Errorf("framing %d: a page is told %d events before the first", f, n)
				}
				early.sub.Close(ErrGone)

				missed := publish(t, log, "a", 2)
				late := newClient(plenty)
				subscribe(t, hub, Request{Framing: f, Start: Start{After: early.lastID(t)}}, late)
				synctest.Wait()
				if got := late.ids(t); !slices.Equal(got, missed) {
					t.Errorf("framing %d: the page that came back got %v, want %v", f, got, missed)
				}
			})
		}
	}
}

func TestQuietFramingMovesPastWhatItsFilterLeavesOut(t *testing.T) {
	for _, f := range quietFramings {
		synctest.Test(t, func(t *testing.T) {
			hub, log := newTestHub(t, eventlog.Retention{})
			defer hub.Close()
			c := newClient(plenty)
			subscribe(t, hub, Request{Framing: f, Filter: mustCompile(t, "wanted")}, c)
			synctest.Wait()
			ids := publish(t, log, "other", 3)
			time.Sleep(time.Minute)
			synctest.Wait()
			if got := c.lastID(t).String(); got != ids[2] || len(c.events(t)) != 0 {
				t.Errorf("framing %d: the page is at %s, want %s, and was told %v", f, got, ids[2], c.types(t))
			}
		})
	}
}

func TestQuietFramingHasAPositionAfterAReset(t *testing.T) {
	for _, f := range quietFramings {
		synctest.Test(t, func(t *testing.T) {
			hub, log := newTestHub(t, eventlog.Retention{})
			defer hub.Close()
			head := publish(t, log, "a", 2)[1]
			c := newClient(plenty)
			subscribe(t, hub, Request{Framing: f, Start: Start{Invalid: "nonsense"}}, c)
			synctest.Wait()
			if got := c.lastID(t).String(); got != head {
				t.Errorf("framing %d: the page is at %s, want %s", f, got, head)
			}
			told := strings.Join(c.types(t), " ")
			if want := map[Framing]string{SSEUnnamed: "", SSEChannel: "stream.reset"}[f]; told != want {
				t.Errorf("framing %d: the page was told %q, want %q", f, told, want)
			}

			page, err := hub.Page(t.Context(), PageRequest{Log: "acme", Filter: mustFilter(t), Start: Start{Invalid: "nonsense"}, Limit: 1})
			if err != nil {
				t.Fatal(err)
			}
			answer := string(f.Answer(page))
			if !strings.HasSuffix(answer, "\nid: "+head+"\n\n") || strings.Contains(answer, "stream.reset") != (f == SSEChannel) {
				t.Errorf("framing %d: a poll is told %q", f, answer)
			}
		})
	}
}
