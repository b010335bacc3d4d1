package streams

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// newState returns a state-like event; an id is a number.
func newState(id int, subject, data string) Event {
	e := newEvent(strconv.Itoa(id))
	e.Subject, e.State = subject, true
	e.Data = orNil([]byte(data))
	return e
}

// wantState compares the state with positions, and the head with the log's.
func wantState(t fataler, l *BoltLog, log string, want ...ID) {
	t.Helper()
	s := mustState(t, l, log)
	if got := idsOf(s.Entries); !slices.Equal(got, want) {
		t.Fatalf("state %v, want %v", got, want)
	}
	if head := mustBounds(t, l, log).Head; s.Head != head {
		t.Fatalf("state at %s, want the head, %s", s.Head, head)
	}
}

func TestBoltStateIsTheNewestOfEachThing(t *testing.T) {
	l := openBolt(t, newBoltPath(t), BoltOptions{})
	log := newName()
	wantState(t, l, log)
	other := newState(3, "a", "3")
	other.Type = "seat.status"
	ids := mustAppend(t, l, log,
		newState(0, "a", "0"), newState(1, "b", "1"), newState(2, "a", "2"), other,
		newEvent("not state-like"), newState(5, "c", "5"))
	wantState(t, l, log, ids[1], ids[2], ids[3], ids[5])

	got := mustState(t, l, log).Entries[1]
	want := mustRead(t, l, log, ids[1], 1)[0]
	if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) || !got.Event.State {
		t.Errorf("an entry of the state is %#v, want it as it is in the log, %#v", got, want)
	}

	receipts, err := l.Append(t.Context(), log, []Event{newState(0, "a", "0")})
	if err != nil || !receipts[0].Duplicate {
		t.Fatalf("sent again: %+v (%v), want a duplicate", receipts, err)
	}
	wantState(t, l, log, ids[1], ids[2], ids[3], ids[5])

	mustAppend(t, l, log, newState(6, "b", "null"), newState(7, "c", ""), newState(8, "never was", "null"))
	wantState(t, l, log, ids[2], ids[3])
	again := mustAppend(t, l, log, newState(9, "b", "9"))
	wantState(t, l, log, ids[2], ids[3], again[0])
	if got := stored(t, l, boltThings, log); got != 3 {
		t.Errorf("%d things are stored, want 3", got)
	}
}

func TestBoltStateOutlivesTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openBolt(t, newBoltPath(t), BoltOptions{Retention: Retention{Age: time.Hour, State: 24 * time.Hour}})
		log := newName()
		early := mustAppend(t, l, log, newState(0, "a", "0"), newState(1, "b", "1"))
		time.Sleep(12 * time.Hour)
		if got := mustReadAll(t, l, log); len(got) > 0 {
			t.Errorf("%d entries are retained, want none", len(got))
		}
		wantState(t, l, log, early...)
		late := mustAppend(t, l, log, newState(2, "c", "2"))
		time.Sleep(12*time.Hour + time.Second)
		wantState(t, l, log, late...)
		time.Sleep(mostSweep)
		if states, things := stored(t, l, boltStates, log), stored(t, l, boltThings, log); states != 1 || things != 1 {
			t.Errorf("%d entries of %d things are stored, want 1 of each", states, things)
		}
		time.Sleep(24 * time.Hour)
		wantState(t, l, log)
	})
}

func TestBoltStateHasAnEnd(t *testing.T) {
	l := openBolt(t, newBoltPath(t), BoltOptions{})
	log := newName()
	const over = 10
	var ids []ID
	for at := 0; at < maxState+over; at += 10_000 {
		ids = append(ids, mustAppend(t, l, log, newStates(at, min(at+10_000, maxState+over))...)...)
	}
	s := mustState(t, l, log)
	if got := idsOf(s.Entries); !slices.Equal(got, ids[over:]) {
		t.Errorf("%d entries, want the newest %d", len(got), maxState)
	}
	if got := stored(t, l, boltThings, log); got != maxState {
		t.Errorf("%d things are stored, want %d", got, maxState)
	}
	// A thing that is there takes nobody's place.
	mustAppend(t, l, log, newState(-1, strconv.Itoa(maxState), "2"))
	if got := mustState(t, l, log).Entries; len(got) != maxState || got[0].ID != ids[over] {
		t.Errorf("%d entries from %s on, want %d from %s on", len(got), got[0].ID, maxState, ids[over])
	}
}

// TestBoltStateAgreesWithAMap appends at random and compares.
func TestBoltStateAgreesWithAMap(t *testing.T) {
	l := openBolt(t, newBoltPath(t), BoltOptions{})
	rapid.Check(t, func(t *rapid.T) {
		log := newName()
		newest := make(map[string]ID)
		n := 0
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				var events []Event
				for range rapid.IntRange(1, 6).Draw(t, "events") {
					n++
					e := newState(n, rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "subject"),
						rapid.SampledFrom([]string{"", "null", "1", "{}", `"null"`}).Draw(t, "data"))
					e.State = rapid.IntRange(0, 3).Draw(t, "state-like") > 0
					events = append(events, e)
				}
				for i, id := range mustAppend(t, l, log, events...) {
					switch e := events[i]; {
					case !e.State:
					case e.Data == nil, string(e.Data) == "null":
						delete(newest, e.Subject)
					default:
						newest[e.Subject] = id
					}
				}
			},
			"": func(t *rapid.T) {
				var want []ID
				for _, id := range newest {
					want = append(want, id)
				}
				slices.SortFunc(want, ID.Compare)
				wantState(t, l, log, want...)
			},
		})
	})
}
