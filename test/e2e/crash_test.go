package e2e

import (
	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/test/stand"

	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylogic/pushserver/auth"
)

const (
	crashRounds  = 20
	crashWriters = 6 // every third sends batches
	crashBatch   = 20
)

var crashMerchants = []string{"alpha", "bravo"}

// --data promises that a program which is killed at any time keeps what it accepted,
// and nothing else.
func TestKilledProgramLosesNothingAcceptedAndInventsNothing(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	c := &crash{
		t: t, key: makeKeys(t, dir), client: &http.Client{Timeout: 10 * time.Second},
		sent: make(map[string]bool), accepted: make(map[string]string),
	}
	for round := range crashRounds {
		p := stand.Serve(t, "--data", dir)
		c.url = p.URL
		c.sendAgain(20)
		c.publish(round, 20+random.IntN(200), p)
		c.client.CloseIdleConnections()
		c.check(dir)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	t.Logf("%d events sent, %d accepted", len(c.sent), len(c.accepted))
}

// makeKeys puts a publisher's key and the merchants into the directory.
func makeKeys(t *testing.T, dir string) string {
	t.Helper()
	store, err := auth.OpenBoltStore(filepath.Join(dir, "keys.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	secret, _, err := auth.Issue(t.Context(), store, auth.Key{Kind: auth.Pub})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range crashMerchants {
		if err := store.AddMerchant(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	return secret.Reveal()
}

// A crash publishes to a program that will be killed, and notes the answers.
type crash struct {
	t      *testing.T
	url    string
	key    string
	client *http.Client

	mu       sync.Mutex        // guards the following
	sent     map[string]bool   // merchant and id of every event
	accepted map[string]string // its position, once it was accepted
}

// crashData returns the data of an event. The id determines it, and the lengths
// differ.
func crashData(id string) string {
	h := fnv.New32a()
	io.WriteString(h, id)
	return fmt.Sprintf(`{"of":%q,"fill":%q}`, id, strings.Repeat("x", int(h.Sum32()%3000)))
}

// send publishes events of one merchant and reports whether an answer came.
func (c *crash) send(merchant string, ids ...string) bool {
	var events []string
	for _, id := range ids {
		events = append(events, fmt.Sprintf(`{"specversion":"1.0","source":"crash","type":"payment.paid","merchant":%q,"id":%q,"data":%s}`,
			merchant, id, crashData(id)))
		c.mu.Lock()
		c.sent[merchant+" "+id] = true
		c.mu.Unlock()
	}
	contentType, body := "application/cloudevents+json", events[0]
	if len(ids) > 1 {
		contentType, body = "application/cloudevents-batch+json", "["+strings.Join(events, ",")+"]"
	}
	req, err := http.NewRequest(http.MethodPost, c.url+"/v1/events", bytes.NewReader([]byte(body)))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Content-Type", contentType)
	resp, err := c.client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return false
	}
	type result struct {
		Status                   int
		ID, Position, Durability string
		Duplicate                bool
	}
	var a struct {
		result
		Results []result
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		c.t.Errorf("answer %d: %s", resp.StatusCode, answer)
		return false
	}
	if len(ids) == 1 {
		a.result.Status = resp.StatusCode
		a.Results = []result{a.result}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range a.Results {
		first, again := c.accepted[merchant+" "+r.ID]
		switch {
		case r.Status != http.StatusCreated && r.Status != http.StatusOK || a.Durability != "durable":
			c.t.Errorf("answer %d: %s", resp.StatusCode, answer)
		case again && (!r.Duplicate || r.Position != first):
			c.t.Errorf("%s, accepted at %s, was sent again: %+v, want it recognised", r.ID, first, r)
		}
		c.accepted[merchant+" "+r.ID] = r.Position
	}
	return true
}

// sendAgain sends n events from before the crash again: some that were accepted, and
// some that got no answer.
func (c *crash) sendAgain(n int) {
	c.mu.Lock()
	var again []string
	for event := range c.sent {
		if _, known := c.accepted[event]; !known || len(again) < n/2 {
			again = append(again, event)
		}
		if len(again) == n {
			break
		}
	}
	c.mu.Unlock()
	for _, event := range again {
		merchant, id, _ := strings.Cut(event, " ")
		if !c.send(merchant, id) {
			c.t.Errorf("no answer to %s", event)
		}
	}
}

// publish kills the program after a number of answers, while writers publish.
func (c *crash) publish(round, answers int, p *stand.Process) {
	var left atomic.Int64
	left.Store(int64(answers))
	var writers sync.WaitGroup
	for w := range crashWriters {
		writers.Go(func() {
			for n := 0; ; n++ {
				ids := []string{fmt.Sprintf("%d-%d-%d", round, w, n)}
				for i := 1; w%3 == 0 && i < crashBatch; i++ {
					ids = append(ids, fmt.Sprintf("%s-%d", ids[0], i))
				}
				if !c.send(crashMerchants[n%len(crashMerchants)], ids...) {
					return
				}
				if left.Add(-1) == 0 {
					p.Kill()
				}
			}
		})
	}
	writers.Wait()
	if left.Load() > 0 {
		c.t.Errorf("the program ended by itself")
	}
}

// check reads what the killed program left.
func (c *crash) check(dir string) {
	l, err := eventlog.OpenBoltLog(filepath.Join(dir, "events.db"), eventlog.BoltOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	defer l.Close()
	found := make(map[string]string)
	for _, merchant := range crashMerchants {
		bounds, err := l.Bounds(c.t.Context(), merchant)
		if err != nil {
			c.t.Fatal(err)
		}
		for last := bounds.Origin; last != bounds.Head; {
			batch, err := l.Read(c.t.Context(), merchant, last, 500)
			if err != nil || batch.Gap != nil || len(batch.Entries) == 0 {
				c.t.Fatalf("read %s after %s: %d entries, gap %+v, %v", merchant, last, len(batch.Entries), batch.Gap, err)
			}
			for _, e := range batch.Entries {
				event := merchant + " " + e.Event.ID
				if e.Prev != last || e.ID.Compare(last) <= 0 {
					c.t.Errorf("the entry after %s is %s, which names %s", last, e.ID, e.Prev)
				}
				if _, twice := found[event]; twice || !c.sent[event] || string(e.Event.Data) != crashData(e.Event.ID) {
					c.t.Errorf("%s at %s: was sent %t, is there twice %t, data %.80s", event, e.ID, c.sent[event], twice, e.Event.Data)
				}
				found[event] = e.ID.String()
				last = e.ID
			}
		}
	}
	for event, position := range c.accepted {
		if found[event] != position {
			c.t.Errorf("%s was accepted at %s and is at %q", event, position, found[event])
		}
	}
}
