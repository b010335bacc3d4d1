package api

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylogic/pushserver/api/keys"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/eventlog"
)

// waits returns a request of each kind that waits. Each kind has its own filter, so
// that the number of feeds says how many wait.
var waits = []string{
	"/v1/events?wait=15&types=open.*,closed.1",
	"/v1/stream?poll=1&types=open.*,closed.2",
	"/v1/stream?poll=1&names=off&types=open.*,closed.3",
	"/stream?poll=1&channel=secret",
}

// A waitRig is a rig with a key whose requests can wait.
type waitRig struct {
	*rig
	registry keys.Registry
	key      keys.View
}

func newWaitRig(t *testing.T, patch keys.Patch) *waitRig {
	t.Helper()
	r := &waitRig{rig: startRig(t, eventlog.MemoryOptions{}, false, withChannels(t, "secret=a:key"))}
	r.registry = keys.Registry{Store: r.store, Log: r.log, By: auth.CLI}
	patch.Set("kind", "live")
	patch.Set("merchant", "a")
	var err error
	if r.key, err = r.registry.Create(t.Context(), patch); err != nil {
		t.Fatal(err)
	}
	return r
}

// wait sends all requests, calls then when they wait, and returns the answers.
func (r *waitRig) wait(t *testing.T, then func()) []response {
	t.Helper()
	// The log has an event, so that each request has a position to go on after.
	r.publish(t, "a", "open.x", `"first"`)
	head := r.head(t)
	answers := make([]response, len(waits))
	var all sync.WaitGroup
	for i, target := range waits {
		all.Go(func() {
			name := "last_event_id="
			if strings.HasPrefix(target, "/v1/events") {
				name = "after="
			}
			answers[i] = r.do(t, "GET", target+"&"+name+head, r.key.Key, "")
		})
	}
	r.feeds(t, len(waits))
	then()
	all.Wait()
	return answers
}

func (r *waitRig) head(t *testing.T) string {
	t.Helper()
	bounds, err := r.log.Bounds(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	return bounds.Head.String()
}

// feeds waits until pages of the merchant wait for n filters.
func (r *waitRig) feeds(t *testing.T, n int) {
	t.Helper()
	idle := 2 // of the gateway's own logs
	for began := time.Now(); r.hub.Stats().Feeds != n+idle; time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("%d feeds, want %d", r.hub.Stats().Feeds-idle, n)
		}
	}
}

func TestRevokedKeyEndsWhatWaits(t *testing.T) {
	r := newWaitRig(t, keys.Patch{})
	var revoked time.Time
	answers := r.wait(t, func() {
		revoked = time.Now()
		if _, err := r.registry.Revoke(t.Context(), r.key.ID); err != nil {
			t.Fatal(err)
		}
	})
	took := time.Since(revoked)
	for i, got := range answers {
		got.refused(t, waits[i], http.StatusUnauthorized, "key-revoked")
	}
	if took > 2*time.Second {
		t.Errorf("the requests were answered %s after the revocation", took)
	}
}

func TestNarrowedKeyNarrowsWhatWaits(t *testing.T) {
	r := newWaitRig(t, keys.Patch{})
	answers := r.wait(t, func() {
		p := keys.Patch{}
		p.Set("types", []string{"open.*"})
		p.Set("subjects", []string{"secret"})
		if _, err := r.registry.Edit(t.Context(), r.key.ID, r.key.Revision, p); err != nil {
			t.Fatal(err)
		}
		for began := time.Now(); !r.narrowed(t); time.Sleep(time.Millisecond) {
			if time.Since(began) > patience {
				t.Fatal("the narrowing does not arrive")
			}
		}
		for _, n := range []string{"1", "2", "3"} {
			r.publish(t, "a", "closed."+n, `"outside"`, `,"subject":"secret"`)
		}
		r.publish(t, "a", "open.x", `"outside"`, `,"subject":"another"`)
		r.publish(t, "a", "open.x", `"inside"`, `,"subject":"secret"`)
	})
	for i, got := range answers {
		if got.status != http.StatusOK || strings.Contains(got.body, "outside") || !strings.Contains(got.body, "inside") {
			t.Errorf("%s: %d %s", waits[i], got.status, got.body)
		}
	}
}

// narrowed reports whether all that waits has the key's new clause.
func (r *waitRig) narrowed(t *testing.T) bool {
	t.Helper()
	for _, c := range r.server.connections.of(r.key.ID) {
		c.mu.Lock()
		revision := c.caller.Revision
		c.mu.Unlock()
		if revision == r.key.Revision {
			return false
		}
	}
	return true
}

func TestScopeThatIsTakenAwayEndsWhatWaits(t *testing.T) {
	r := newWaitRig(t, keys.Patch{})
	answers := r.wait(t, func() {
		p := keys.Patch{}
		p.Set("scopes", []string{auth.Me})
		if _, err := r.registry.Edit(t.Context(), r.key.ID, r.key.Revision, p); err != nil {
			t.Fatal(err)
		}
	})
	for i, got := range answers {
		got.refused(t, waits[i], http.StatusForbidden, "scope-missing")
	}
}

func TestExpiryEndsWhatWaits(t *testing.T) {
	p := keys.Patch{}
	p.Set("expires_at", time.Now().Add(3*time.Second).UTC())
	r := newWaitRig(t, p)
	began := time.Now()
	answers := r.wait(t, func() {})
	for i, got := range answers {
		got.refused(t, waits[i], http.StatusUnauthorized, "key-expired")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the requests were answered after %s", took)
	}
}

// A gateway that cannot hear of changes answers what waits.
func TestWhatWaitsEndsWhenItsKeyCannotBeVerified(t *testing.T) {
	r, log := newCutRig(t, 300*time.Millisecond, 2*time.Second)
	r.publish(t, "a", "x.y", "1")
	bounds, err := r.log.Bounds(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan response)
	go func() { answered <- r.do(t, "GET", "/v1/events?wait=15&after="+bounds.Head.String(), r.a, "") }()
	for began := time.Now(); r.server.Hub.Stats().Feeds < 3; time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatal("the page does not wait")
		}
	}
	log.cut.Store(true)
	cut := time.Now()
	got := <-answered
	got.refused(t, "a page after the cut", http.StatusServiceUnavailable, "store-unavailable")
	if took := time.Since(cut); took > staleAfter+1500*time.Millisecond {
		t.Errorf("the page was answered %s after the cut", took)
	}
}

func TestFiltersOfWhatWaitsCountAmongTheKeysFilters(t *testing.T) {
	const limit = 5
	key := policy.Limits{{Name: policy.Filters, Quota: limit}}
	r := newWaitRig(t, keys.Patch{})
	secret := r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Limits: key})
	head := func() string { r.publish(t, "a", "x.y", "1"); return r.head(t) }()
	v := r.watch(t, secret, "?types=w.0")
	v.until(t, "stream.open")
	var all sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	for i := range 40 {
		all.Go(func() {
			got := r.do(t, "GET", fmt.Sprintf("/v1/events?wait=2&after=%s&types=w.%d", head, i), secret, "")
			mu.Lock()
			statuses[got.status]++
			mu.Unlock()
			if got.status != http.StatusOK {
				got.refused(t, "a filter too many", http.StatusTooManyRequests, "quota-exceeded")
			}
		})
	}
	all.Wait()
	if statuses[http.StatusOK] != limit { // one of them has the filter of the stream
		t.Errorf("answers by status: %v, want %d with 200", statuses, limit)
	}
	r.feeds(t, 1)
}

// A client that takes its answer slowly does not get the rest of it after the
// revocation.
func TestRevokedKeyEndsAnAnswerThatIsBeingTaken(t *testing.T) {
	r := newWaitRig(t, keys.Patch{})
	const states, size = 100, 200 << 10 // far more than the buffers of a connection hold
	for i := range states {
		_, err := r.log.Append(t.Context(), "a", []eventlog.Event{{
			ID: fmt.Sprint(i), Source: "/test", Type: "seat.status", Subject: fmt.Sprint("seat/", i), Merchant: "a", State: true,
			Data: []byte(`"` + strings.Repeat("x", size) + `"`),
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	conn, err := net.Dial("tcp", r.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /v1/state HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", r.key.Key)
	if _, err := io.ReadFull(conn, make([]byte, 64<<10)); err != nil {
		t.Fatal(err)
	}
	revoked := time.Now()
	if _, err := r.registry.Revoke(t.Context(), r.key.ID); err != nil {
		t.Fatal(err)
	}
	for len(r.server.connections.of(r.key.ID)) > 0 {
		if time.Since(revoked) > patience {
			t.Fatal("the answer is still being written")
		}
		time.Sleep(time.Millisecond)
	}
	if took := time.Since(revoked); took > 2*time.Second {
		t.Errorf("the answer ended %s after the revocation", took)
	}
	rest, _ := io.ReadAll(conn) // an error says that the answer was cut off
	if len(rest) > states*size/2 {
		t.Errorf("%d bytes came after the revocation", len(rest))
	}
}
