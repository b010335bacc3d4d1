package eventlog

import (
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// testModel appends and reads at random, and compares the log with a list.
func testModel(t *testing.T, l Log) {
	rapid.Check(t, func(t *rapid.T) {
		log := newName()
		positions := []ID{mustBounds(t, l, log).Origin} // positions to read after: the origin, then the entries
		taken := make(map[string]ID)
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				var events []Event
				for _, n := range rapid.SliceOfN(rapid.IntRange(0, 40), 1, 8).Draw(t, "events") {
					events = append(events, newEvent(strconv.Itoa(n)))
				}
				receipts, err := l.Append(t.Context(), log, events)
				if err != nil {
					t.Fatal(err)
				}
				for i, r := range receipts {
					first, known := taken[events[i].ID]
					if r.Err != nil || r.Duplicate != known || known && r.ID != first {
						t.Fatalf("event %s: receipt %+v, want duplicate %t of %s", events[i].ID, r, known, first)
					}
					if !known {
						taken[events[i].ID] = r.ID
						positions = append(positions, r.ID)
					}
				}
			},
			"read": func(t *rapid.T) {
				i := rapid.IntRange(0, len(positions)-1).Draw(t, "after")
				limit := rapid.IntRange(1, 20).Draw(t, "limit")
				want := positions[i+1:][:min(limit, len(positions)-i-1)]
				if got := idsOf(mustRead(t, l, log, positions[i], limit)); !slices.Equal(got, want) {
					t.Fatalf("after the %dth, limit %d: %v, want %v", i, limit, got, want)
				}
			},
			"": func(t *rapid.T) {
				b := mustBounds(t, l, log)
				if want := positions[len(positions)-1]; b.Head != want {
					t.Fatalf("head %s, want %s", b.Head, want)
				}
			},
		})
	})
}
