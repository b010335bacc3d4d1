package eventlog

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
)

// A subject is an implementation of Log, with the ways in which failures and
// operators can damage its data.
type subject struct {
	open func(*testing.T) Log

	trim   func(t *testing.T, l Log, log string, keep int)    // removes all but the newest entries
	revert func(t *testing.T, l Log, log string, entries int) // removes the newest entries, as a failover does
	erase  func(t *testing.T, l Log, log string)              // removes the log without a trace
}

// TestLog runs the suite that every implementation of Log passes.
func TestLog(t *testing.T) {
	for name, s := range map[string]subject{
		"memory":     memorySubject,
		"bolt":       boltSubject,
		"cluster":    clusterSubject,
		"standalone": standaloneSubject,
	} {
		t.Run(name, s.test)
	}
}

func (s subject) test(t *testing.T) {
	l := s.open(t)
	for name, behaviour := range map[string]func(*testing.T, Log){
		"positions grow in the order of acceptance":         testOrder,
		"events come back as they were":                     testFidelity,
		"the same event is taken once":                      testDuplicates,
		"an id is not taken for another event":              testReused,
		"pages follow each other without loss or repeat":    testPages,
		"an untouched log has an origin to start from":      testUntouched,
		"a merchant's test log is another log":              testTestMode,
		"seek finds the first entry at a time or later":     testSeek,
		"moved names the logs whose head is another":        testMoved,
		"bells ring for logs that grow":                     testBells,
		"concurrent appends lose nothing and stay in order": testConcurrent,
		"a context that is done ends a call":                testContext,
		"it agrees with a list":                             testModel,
		"state is the newest event of each subject":         testStateNewest,
		"states come back as they were":                     testStateFidelity,
		"the state agrees with a map":                       testStateModel,
		"beyond the most the oldest states go":              testStateIsCapped,
	} {
		t.Run(name, func(t *testing.T) { behaviour(t, l) })
	}
	for name, behaviour := range map[string]func(*testing.T, subject, Log){
		"a trimmed position is told so, with exact bounds": testTrimmed,
		"the head of a log that aged empty is proof":       testAgedEmpty,
		"a position that was rolled back is told so":       testRolledBack,
		"a position of a log made anew is told so":         testRebuilt,
		"a state outlives its event's place in the log":    testStateOutlivesTheLog,
	} {
		t.Run(name, func(t *testing.T) { behaviour(t, s, l) })
	}
	t.Run("a position that never was is told so", func(t *testing.T) { testNeverWas(t, l) })
}

var logNames atomic.Int64

// newName returns a name that is unused on this Redis.
func newName() string { return "m" + strconv.FormatInt(logNames.Add(1), 10) }

func newEvent(id string) Event {
	return Event{
		ID: id, Source: "inventory", Type: "ticket.availability", Subject: "event/42/type/7",
		Time: "2026-11-23T03:00:00Z", Merchant: "acme", Data: []byte(`{"available":9}`),
	}
}

func newEvents(n int) []Event {
	events := make([]Event, n)
	for i := range events {
		events[i] = newEvent("e" + strconv.Itoa(i))
	}
	return events
}

// A fataler is a test, or one run of a property.
type fataler interface {
	Helper()
	Context() context.Context
	Fatalf(format string, args ...any)
}

func mustAppend(t fataler, l Log, log string, events ...Event) []ID {
	t.Helper()
	receipts, err := l.Append(context.Background(), log, events)
	if err != nil {
		t.Fatalf("append %d events to %q: %v", len(events), log, err)
	}
	ids := make([]ID, len(receipts))
	for i, r := range receipts {
		if r.Err != nil || r.Duplicate {
			t.Fatalf("event %d of %d to %q: receipt %+v, want a new position", i, len(events), log, r)
		}
		ids[i] = r.ID
	}
	return ids
}

func mustBounds(t fataler, l Log, log string) Bounds {
	t.Helper()
	b, err := l.Bounds(context.Background(), log)
	if err != nil {
		t.Fatalf("bounds of %q: %v", log, err)
	}
	return b
}

func mustRead(t fataler, l Log, log string, after ID, limit int) []Entry {
	t.Helper()
	b, err := l.Read(context.Background(), log, after, limit)
	if err != nil {
		t.Fatalf("read %q after %s: %v", log, after, err)
	}
	if b.Gap != nil {
		t.Fatalf("read %q after %s: gap %+v, want none", log, after, *b.Gap)
	}
	return b.Entries
}

// mustReadAll reads all pages of a log from its floor, and checks that they are
// linked.
func mustReadAll(t testing.TB, l Log, log string) []Entry {
	t.Helper()
	var all []Entry
	after := mustBounds(t, l, log).Floor()
	for {
		page := mustRead(t, l, log, after, 100)
		if len(page) == 0 {
			return all
		}
		for _, e := range page {
			if e.Prev != after || e.ID.Compare(after) <= 0 {
				t.Fatalf("%q: the entry after %s is %s, which names %s", log, after, e.ID, e.Prev)
			}
			after = e.ID
		}
		all = append(all, page...)
	}
}

func idsOf(entries []Entry) []ID {
	ids := make([]ID, len(entries))
	for i, e := range entries {
		ids[i] = e.ID
	}
	return ids
}
