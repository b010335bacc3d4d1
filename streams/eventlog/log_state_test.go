package eventlog

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// newState returns an event with the state of a subject; null ends the state.
func newState(id, subject, data string) Event {
	e := newEvent(id)
	e.Subject, e.Data, e.State = subject, []byte(data), true
	return e
}

func mustState(t fataler, l Log, log string) State {
	t.Helper()
	s, err := l.State(t.Context(), log)
	if err != nil {
		t.Fatalf("state of %q: %v", log, err)
	}
	return s
}

// show returns the positions and data to compare.
func (s State) show() []string {
	var all []string
	for _, e := range s.Entries {
		all = append(all, fmt.Sprintf("%s %s=%s", e.ID, e.Event.Subject, e.Event.Data))
	}
	return all
}

func testStateNewest(t *testing.T, l Log) {
	log := newName()
	if s := mustState(t, l, log); len(s.Entries) > 0 || s.Head != mustBounds(t, l, log).Origin {
		t.Errorf("the state of an untouched log is %+v, want none, at its origin", s)
	}
	other := newState("o", "a", `{"n":9}`)
	other.Type = "seat.status"
	ids := mustAppend(t, l, log,
		newState("1", "a", `1`), newState("2", "b", `2`), newEvent("3"), newState("4", "a", `4`), other,
		newState("5", "c", `5`), newState("6", "c", ` null `), newState("7", "", `7`))
	want := []string{
		fmt.Sprintf("%s b=2", ids[1]), fmt.Sprintf("%s a=4", ids[3]),
		fmt.Sprintf(`%s a={"n":9}`, ids[4]), fmt.Sprintf("%s =7", ids[7]),
	}
	s := mustState(t, l, log)
	if got := s.show(); !slices.Equal(got, want) {
		t.Errorf("the state is %q, want %q", got, want)
	}
	if s.Head != ids[7] {
		t.Errorf("the state is that of %s, want %s", s.Head, ids[7])
	}
	for i, e := range mustReadAll(t, l, log) {
		if e.Event.State != (i != 2) {
			t.Errorf("entry %d came back with State %t", i, e.Event.State)
		}
	}
	// A duplicate changes nothing.
	if r, err := l.Append(t.Context(), log, []Event{newState("2", "b", `2`)}); err != nil || !r[0].Duplicate {
		t.Fatalf("sent again: %+v, %v", r, err)
	}
	if got := mustState(t, l, log).show(); !slices.Equal(got, want) {
		t.Errorf("after a duplicate the state is %q, want %q", got, want)
	}
	gone := newState("8", "a", ``)
	mustAppend(t, l, log, gone, newState("9", "never was", `null`))
	if got := mustState(t, l, log).show(); !slices.Equal(got, append([]string{want[0]}, want[2:]...)) {
		t.Errorf("without one subject the state is %q, want all others of %q", got, want)
	}
}

func testStateFidelity(t *testing.T, l Log) {
	log := newName()
	e := newState("\x00:\r\n\xff", "12:ä", "{\"a\": [1e400,\n\"\\u2028\"]}")
	e.Extensions, e.DataSchema = []byte(`{"traceparent":"00-ab"}`), "urn:x"
	mustAppend(t, l, log, e)
	if s := mustState(t, l, log); len(s.Entries) != 1 || fmt.Sprintf("%#v", s.Entries[0].Event) != fmt.Sprintf("%#v", e) {
		t.Errorf("the state came back as %#v, want %#v", s.Entries, e)
	}
}

func testStateOutlivesTheLog(t *testing.T, s subject, l Log) {
	log := newName()
	events := make([]Event, 300) // more than one block of any store
	var want []string
	for i := range events {
		events[i] = newEvent(fmt.Sprint(i))
		if i%50 == 0 {
			events[i] = newState(fmt.Sprint(i), fmt.Sprint(i), `1`)
		}
	}
	for i, id := range mustAppend(t, l, log, events...) {
		if i%50 == 0 {
			want = append(want, fmt.Sprintf("%s %d=1", id, i))
		}
	}
	s.trim(t, l, log, 1)
	if got := mustState(t, l, log).show(); !slices.Equal(got, want) {
		t.Errorf("after its event was trimmed the state is %q, want %q", got, want)
	}
}

func testStateIsCapped(t *testing.T, l Log) {
	log := newName()
	const beyond = 100 // events of one script call
	for n := 0; n < MaxStates+beyond; n += beyond {
		events := make([]Event, beyond)
		for i := range events {
			events[i] = newState(fmt.Sprint(n+i), fmt.Sprint(n+i), `0`)
		}
		insist(t, l, log, events)
	}
	s := mustState(t, l, log)
	if len(s.Entries) != MaxStates || s.Entries[0].Event.Subject != fmt.Sprint(beyond) {
		t.Errorf("%d states, the oldest of %q; want %d, of %d", len(s.Entries), s.Entries[0].Event.Subject, MaxStates, beyond)
	}
}

// insist appends events until they are confirmed: this test writes so much that
// a busy machine may be late.
func insist(t *testing.T, l Log, log string, events []Event) {
	t.Helper()
	var err error
	for range 10 {
		var receipts []Receipt
		receipts, err = l.Append(t.Context(), log, events)
		for _, r := range receipts {
			err = errors.Join(err, r.Err)
		}
		if err == nil {
			return
		}
	}
	t.Fatal(err)
}

func TestRedisStatesEndWithTheirTime(t *testing.T) {
	node := standaloneAddr(t)
	l := openRedis(t, RedisOptions{Addrs: []string{node}, Durability: BestEffort, Retention: Retention{State: 20 * time.Millisecond}})
	log := newName()
	first := mustAppend(t, l, log, newState("old", "old", `1`))[0]
	for i := 0; ; i++ {
		id := mustAppend(t, l, log, newState(fmt.Sprint(i), "new", `1`))[0]
		if id.Time().Sub(first.Time()) > time.Second {
			t.Fatalf("the states still hold %v", mustDo(t, l, "HKEYS", keysOf(log).states))
		}
		if mustDo(t, l, "HLEN", keysOf(log).states) == int64(2) { // one state and the mark
			break
		}
	}
	l.now = func() time.Time { return time.Now().Add(-time.Hour) } // this machine's clock ends no state
	time.Sleep(2 * l.retention.State)
	if s := mustState(t, l, log); len(s.Entries) != 0 {
		t.Errorf("after its time the state is %q, want none", s.show())
	}
	if life, _ := mustDo(t, l, "PTTL", keysOf(log).states).(int64); life <= 0 || life > int64(l.retention.stateLife()/time.Millisecond) {
		t.Errorf("the states live for %d ms more, want up to %s", life, l.retention.stateLife())
	}
}

func TestRedisStateOfWhichAPartIsGoneIsRead(t *testing.T) {
	l := openCluster(t)
	log := newName()
	mustAppend(t, l, log, newState("1", "a", `1`), newState("2", "b", `2`))
	mustDo(t, l, "HDEL", keysOf(log).states, "ticket.availability\x00b")
	if s := mustState(t, l, log); len(s.Entries) != 1 || s.Entries[0].Event.Subject != "a" {
		t.Errorf("the state is %q, want that of a", s.show())
	}
}

func TestRedisPoisonedStateIsDamage(t *testing.T) {
	l := openCluster(t)
	for _, poison := range []string{"", "x", "3:abc", "99999999999999999999:", "-1:"} {
		log := newName()
		mustAppend(t, l, log, newState("1", "a", `1`))
		mustDo(t, l, "HSET", keysOf(log).states, "ticket.availability\x00a", poison+"!")
		if _, err := l.State(t.Context(), log); !errors.Is(err, ErrDamaged) {
			t.Errorf("a state of %q: %v, want damage", poison, err)
		}
	}
}

// wantState compares the positions of the state, and its head with the log's.
func wantState(t fataler, l Log, log string, want ...ID) {
	t.Helper()
	s := mustState(t, l, log)
	if got := idsOf(s.Entries); !slices.Equal(got, want) {
		t.Fatalf("state %v, want %v", got, want)
	}
	if head := mustBounds(t, l, log).Head; s.Head != head {
		t.Fatalf("state at %s, want the head, %s", s.Head, head)
	}
}

// testStateModel appends at random, and compares the state with a map.
func testStateModel(t *testing.T, l Log) {
	rapid.Check(t, func(t *rapid.T) {
		log := newName()
		newest := make(map[string]ID)
		n := 0
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				var events []Event
				for range rapid.IntRange(1, 6).Draw(t, "events") {
					n++
					e := newState(strconv.Itoa(n), rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "subject"),
						rapid.SampledFrom([]string{"", "null", "1", "{}", `"null"`}).Draw(t, "data"))
					e.State = rapid.IntRange(0, 3).Draw(t, "state-like") > 0
					events = append(events, e)
				}
				for i, id := range mustAppend(t, l, log, events...) {
					switch e := events[i]; {
					case !e.State:
					case len(e.Data) == 0, string(e.Data) == "null":
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
