package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// A load appends to one log from several writers, and reads the log as it
// grows. It repeats each event until it is accepted.
type load struct {
	t    *testing.T
	l    Log
	log  string
	from ID
	done sync.WaitGroup
	stop context.CancelFunc

	mu       sync.Mutex // guards the following
	grown    *sync.Cond
	accepted map[string]ID // positions by event id
	took     []time.Duration
	read     []ID
	gaps     []Gap
}

const loadWriters = 8

func startLoad(t *testing.T, l Log, log string) *load {
	ctx, cancel := context.WithCancel(context.Background())
	d := &load{t: t, l: l, log: log, stop: cancel, from: mustBounds(t, l, log).Head, accepted: make(map[string]ID)}
	d.grown = sync.NewCond(&d.mu)
	for w := range loadWriters {
		d.done.Go(func() { d.write(ctx, w) })
	}
	d.done.Go(func() { d.follow(ctx) })
	t.Cleanup(cancel)
	return d
}

func (d *load) write(ctx context.Context, w int) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		event := newEvent(fmt.Sprintf("%d-%d", w, i))
		start := time.Now()
		for d.accept(event, start) != nil && ctx.Err() == nil {
			<-tick.C
		}
		<-tick.C
	}
}

// accept tries to append an event once.
func (d *load) accept(event Event, start time.Time) error {
	receipts, err := d.l.Append(context.Background(), d.log, []Event{event})
	if err == nil {
		err = receipts[0].Err
	}
	if err != nil {
		if !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrNotReplicated) {
			d.t.Errorf("event %s: %v", event.ID, err)
		}
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.accepted[event.ID] = receipts[0].ID
	d.took = append(d.took, time.Since(start))
	d.grown.Broadcast()
	return nil
}

// follow reads until ctx is done. After a gap it continues from the log's
// floor.
func (d *load) follow(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	after := d.from
	for ctx.Err() == nil {
		b, err := d.l.Read(context.Background(), d.log, after, 50)
		d.mu.Lock()
		switch {
		case err != nil && !errors.Is(err, ErrUnavailable):
			d.t.Errorf("read after %s: %v", after, err)
		case b.Gap != nil:
			d.gaps = append(d.gaps, *b.Gap)
			after, d.read = b.Gap.Bounds.Floor(), nil
		case len(b.Entries) > 0:
			d.read = append(d.read, idsOf(b.Entries)...)
			after = b.Entries[len(b.Entries)-1].ID
		}
		d.mu.Unlock()
		<-tick.C
	}
}

// await returns when n more events were accepted.
func (d *load) await(n int) {
	d.t.Helper()
	timeout := time.AfterFunc(20*time.Second, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		n = -1
		d.grown.Broadcast()
	})
	defer timeout.Stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	for want := len(d.accepted) + n; n >= 0 && len(d.accepted) < want; {
		d.grown.Wait()
	}
	if n < 0 {
		d.t.Fatalf("%q: nothing was accepted for 20 s", d.log)
	}
}

// finish ends the load. It checks that the log has each accepted event once, at
// the position of its receipt, in one chain, and that the reader saw the
// beginning of that chain.
func (d *load) finish() {
	d.t.Helper()
	d.stop()
	d.done.Wait()
	at := make(map[string]ID)
	all := mustReadAll(d.t, d.l, d.log)
	for _, e := range all {
		if first, twice := at[e.Event.ID]; twice {
			d.t.Errorf("event %s is at %s and at %s", e.Event.ID, first, e.ID)
		}
		at[e.Event.ID] = e.ID
	}
	lost := 0
	for id, position := range d.accepted {
		if at[id] != position {
			lost++
		}
	}
	if lost > 0 {
		d.t.Errorf("%d of %d accepted events are not where their receipts say", lost, len(d.accepted))
	}
	if ids := idsOf(all); len(d.read) > len(ids) || !slices.Equal(d.read, ids[:len(d.read)]) {
		d.t.Errorf("the reader has %d positions that are not the first of the log's %d", len(d.read), len(ids))
	}
	slices.Sort(d.took)
	d.t.Logf("%d accepted; until accepted p50 %v, p99 %v, at most %v; %d read; %d gaps",
		len(d.accepted), d.took[len(d.took)/2], d.took[len(d.took)*99/100], d.took[len(d.took)-1], len(d.read), len(d.gaps))
}

// wantNoGap is for faults that lose no event.
func (d *load) wantNoGap() {
	d.t.Helper()
	if len(d.gaps) > 0 {
		d.t.Errorf("the reader was told of %d gaps, the first %+v", len(d.gaps), d.gaps[0])
	}
}
