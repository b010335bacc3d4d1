package streams

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

// manyStates publishes states of n subjects: s0, s1 and so on.
func manyStates(t testing.TB, log eventlog.Log, n, size int) {
	t.Helper()
	data := `"` + strings.Repeat("x", size) + `"`
	for at := 0; at < n; at += 100 {
		var batch []eventlog.Event
		for i := at; i < min(at+100, n); i++ {
			batch = append(batch, newState(fmt.Sprint("many", i), fmt.Sprint("s", i), data))
		}
		mustAppend(t, log, "acme", batch...)
	}
}

// A narrowing also holds for the states that a slow client has not taken.
func TestNarrowingHoldsForASnapshotUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const states = 3000
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		manyStates(t, log, states, 100)
		c := newClient(10_100) // the states are in the middle of a text
		subscribe(t, hub, Request{Start: Start{Snapshot: true}}, c)
		synctest.Wait()
		narrow := []string{"s7", "s2999", "s2500"}
		c.sub.Rescope(mustFilter(t, filter.Clause{Subjects: narrow}), scope{})
		synctest.Wait()
		c.take(plenty)
		synctest.Wait()
		told := c.told(t)
		scoped := slices.Index(told, "stream.scope")
		if scoped < 10 || scoped > 100 {
			t.Fatalf("stream.scope comes after %d events", scoped)
		}
		var subjects []string
		for _, text := range told[scoped+1:] {
			subject, _, _ := strings.Cut(text, "=")
			subjects = append(subjects, subject)
		}
		if want := []string{"s2500", "s2999", "@stream.live"}; !slices.Equal(subjects, want) {
			t.Errorf("after stream.scope come %q, want %q", subjects, want)
		}
	})
}

// Whatever the client takes at a time, it gets each state once, in order.
func TestSnapshotInSmallPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const states = 2500
		hub, log := newTestHub(t, eventlog.Retention{})
		defer hub.Close()
		manyStates(t, log, states, 50)
		c := newClient(1)
		subscribe(t, hub, Request{Start: Start{Snapshot: true}}, c)
		for n := 1; !c.holds("stream.live"); n = n%7919 + 997 {
			c.take(n)
			synctest.Wait()
		}
		c.take(plenty)
		synctest.Wait()
		told := c.told(t)
		if len(told) != states+2 {
			t.Fatalf("%d events, want %d states between stream.open and stream.live", len(told), states)
		}
		for i, text := range told[1 : states+1] {
			if subject, _, _ := strings.Cut(text, "="); subject != fmt.Sprint("s", i) {
				t.Fatalf("state %d is %s", i, subject)
			}
		}
	})
}

// Clients that are reset at once, and take little, share what they are sent.
func TestResetStormNeedsLittleMemory(t *testing.T) {
	const readers, states, most = 1000, 5000, 20 << 20
	log := eventlog.NewMemoryLog(eventlog.MemoryOptions{Retention: eventlog.Retention{Events: 100}})
	hub := NewHub(log, Options{})
	defer hub.Close()
	manyStates(t, log, states, 200)
	subscribe(t, hub, Request{Start: Start{Snapshot: true}}, newClient(1000)) // loads the states
	unknown, err := eventlog.ParseID("1-1-aaaaa")
	if err != nil {
		t.Fatal(err)
	}
	before := heapInUse()
	for range readers {
		subscribe(t, hub, Request{Start: Start{After: unknown}}, newClient(1000))
	}
	if grown := heapInUse() - before; grown > most {
		t.Errorf("%d readers take %d MB, want at most %d MB", readers, grown>>20, most>>20)
	}
	runtime.KeepAlive(log)
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A client that takes a little of a snapshot costs a little, although a state has
// changed since the last one.
func TestSnapshotCostsWhatItSends(t *testing.T) {
	const states, most = 20_000, 1 << 20
	log := eventlog.NewMemoryLog(eventlog.MemoryOptions{})
	hub := NewHub(log, Options{})
	defer hub.Close()
	manyStates(t, log, states, 100)
	connect := func() { subscribe(t, hub, Request{Start: Start{Snapshot: true}}, newClient(1000)) }
	connect()
	var total uint64
	const times = 10
	for i := range times {
		publishState(t, log, "s5", fmt.Sprint(i))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		connect()
		runtime.ReadMemStats(&after)
		total += after.TotalAlloc - before.TotalAlloc
	}
	if each := total / times; each > most {
		t.Errorf("a snapshot allocates %d KB before its first byte, want at most %d KB", each>>10, most>>10)
	}
}

func BenchmarkSnapshotAfterAChange(b *testing.B) {
	log := eventlog.NewMemoryLog(eventlog.MemoryOptions{})
	hub := NewHub(log, Options{})
	defer hub.Close()
	manyStates(b, log, 20_000, 100)
	for b.Loop() {
		publishState(b, log, "s5", "1")
		subscribe(b, hub, Request{Start: Start{Snapshot: true}, Filter: mustFilter(b)}, newClient(1000))
	}
}
