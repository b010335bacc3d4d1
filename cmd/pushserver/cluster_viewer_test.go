package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylogic/pushserver/streams/sse"
)

// An interest is a part of a feed, as it is asked for and as it is meant.
type interest struct {
	query   url.Values
	matches func(sent) bool
}

var interests = []interest{
	{url.Values{}, func(sent) bool { return true }},
	{url.Values{"types": {"payment.paid"}}, func(e sent) bool { return e.Type == "payment.paid" }},
	{url.Values{"filter": {"data.amount >= 500"}}, func(e sent) bool { return e.Amount >= 500 }},
}

// A viewer reads a merchant's stream until the last event, over as many
// connections as it takes.
type viewer struct {
	t              *testing.T
	name           string
	gateways       []string
	turn           int // the gateway of the next connection, less whole rounds
	key, merchant  string
	want           interest
	foreign        [][]byte   // what must not be in a single byte of its streams
	restless       *rand.Rand // when to drop the connection; nil: never
	opened, done   chan struct{}
	position       string // to resume from
	hasOpened, end bool

	mu       sync.Mutex // guards the following
	connects int
	got      []receipt
}

// A receipt is an event with where it is in its log.
type receipt struct{ Position, ID string }

func (v *viewer) watch(ctx context.Context) {
	for ctx.Err() == nil && !v.end {
		if err := v.connect(ctx); err != nil && ctx.Err() == nil {
			_ = pause(ctx, 50*time.Millisecond)
		}
	}
	if v.end {
		close(v.done)
	}
}

// connect reads one connection to its end.
func (v *viewer) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	query := url.Values{}
	for name, values := range v.want.query {
		query[name] = values
	}
	inQuery := v.position != "" && v.turn/len(v.gateways)%2 == 1
	if inQuery {
		query.Set("last_event_id", v.position)
	}
	address := v.gateways[v.turn%len(v.gateways)] + "/v1/stream?" + query.Encode()
	v.turn++
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(address, "?"), nil)
	if err != nil {
		v.t.Error(err)
		return err
	}
	req.Header.Set("Authorization", "Bearer "+v.key)
	req.Header.Set("Accept", "text/event-stream")
	if v.position != "" && !inQuery {
		req.Header.Set("Last-Event-ID", v.position)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		if body, _ := io.ReadAll(io.LimitReader(resp.Body, 1024)); resp.StatusCode != http.StatusServiceUnavailable {
			v.t.Errorf("%s was refused with %d: %s", v.name, resp.StatusCode, body)
		}
		return errors.New("refused")
	}
	if v.restless != nil {
		drop := time.AfterFunc(time.Duration(300+v.restless.IntN(400))*time.Millisecond, cancel)
		defer drop.Stop()
	}
	v.mu.Lock()
	v.connects++
	v.mu.Unlock()
	decoder := sse.NewDecoder(&watchedReader{r: resp.Body, viewer: v})
	for {
		event, err := decoder.Next()
		if id := decoder.LastEventID(); id != "" {
			v.position = id
		}
		if err != nil {
			return nil
		}
		v.take(event)
		if v.end {
			return nil
		}
	}
}

func (v *viewer) take(event sse.Event) {
	switch {
	case event.Type == "stream.open" && !v.hasOpened:
		v.hasOpened = true
		close(v.opened)
	case event.Type == "stream.reset":
		v.t.Errorf("%s was reset after %d events: %s", v.name, len(v.got), event.Data)
	case !strings.HasPrefix(event.Type, "stream."):
		var e struct{ ID, Type string }
		if err := json.Unmarshal(event.Data, &e); err != nil || e.Type != event.Type {
			v.t.Errorf("%s got %q as %s: %v", v.name, event.Data, event.Type, err)
		}
		v.mu.Lock()
		v.got = append(v.got, receipt{event.ID, e.ID})
		v.mu.Unlock()
		v.end = e.ID == lastOf(v.merchant)
	}
}

// check compares what came with what was accepted, in the order of the log. The
// caller holds v.mu.
func (v *viewer) check(accepted []sent) {
	var want []receipt
	for _, e := range accepted {
		if v.want.matches(e) {
			want = append(want, e.receipt)
		}
	}
	if slices.Equal(v.got, want) {
		return
	}
	times := make(map[string]int)
	for _, r := range v.got {
		times[r.ID]++
	}
	var missing, repeated []string
	for _, r := range want {
		if times[r.ID] == 0 {
			missing = append(missing, r.ID+" at "+r.Position)
		}
	}
	for id, n := range times {
		if n > 1 {
			repeated = append(repeated, id)
		}
	}
	at := 0
	for at < min(len(v.got), len(want)) && v.got[at] == want[at] {
		at++
	}
	v.t.Errorf("%s of %s (%v) got %d events, want %d; missing %v, repeated %v; the first difference is at %d",
		v.name, v.merchant, v.want.query, len(v.got), len(want), missing, repeated, at)
}

// A watchedReader looks for what belongs to others in all that passes.
type watchedReader struct {
	r      io.Reader
	viewer *viewer
	tail   []byte // of what was read before, for what is cut in two
}

func (w *watchedReader) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	text := append(w.tail, p[:n]...)
	for _, canary := range w.viewer.foreign {
		if bytes.Contains(text, canary) {
			w.viewer.t.Errorf("%s of %s was sent %s", w.viewer.name, w.viewer.merchant, canary)
		}
	}
	w.tail = append(w.tail[:0], text[max(0, len(text)-64):]...)
	return n, err
}
