//go:build linux

package faults

import (
	"fmt"
	"testing"
)

// newCase returns the evidence of a small trial: acme's log has five events. The
// fourth has an amount below 500.
func newCase() *evidence {
	e := &evidence{facts: make(map[string]fact), heads: map[string]string{"acme": ""}, logs: make(map[string][]logged)}
	for i := range 5 {
		f := fact{Merchant: "acme", ID: fmt.Sprintf("e%d", i+1), Type: "a.b", Amount: 500, Sum: uint64(i)}
		if i == 3 {
			f.Amount = 100
		}
		e.facts[f.ID] = f
		e.logs["acme"] = append(e.logs["acme"], logged{at(i + 1), f.ID, f.Sum})
		e.attempts = append(e.attempts, attempt{Merchant: "acme", ID: f.ID, Status: 201, Position: at(i + 1)})
	}
	return e
}

func at(i int) string { return fmt.Sprintf("%d000-0-aaaaa", i) }

// saw adds a witness that received these events in this order. Each is the number of
// an event, or a note.
func (e *evidence) saw(p part, events ...any) *evidence {
	w := witness{name: "reader", merchant: "acme", sees: p.sees, finished: true}
	w.notes = append(w.notes, note{What: noteOpened, Status: 200}, note{What: noteStream, Type: "stream.open", Position: "0-0-bbbbb"})
	for _, event := range events {
		switch event := event.(type) {
		case int:
			id := fmt.Sprintf("e%d", event)
			w.notes = append(w.notes, note{What: noteEvent, Position: at(event), Type: "a.b", ID: id, Sum: e.facts[id].Sum})
		case note:
			w.notes = append(w.notes, event)
		}
	}
	e.witnesses = append(e.witnesses, w)
	return e
}

func resetTo(reason, requested, from string) note {
	return note{What: noteStream, Type: "stream.reset", Text: fmt.Sprintf(`{"reason":%q,"requested":%q,"resume_from":%q}`, reason, requested, from)}
}

// An event without an id does not confirm the client's last position: after a reset
// that position may have vanished.
func TestFaultsReaderNotesWhatItWasTold(t *testing.T) {
	r := &reader{}
	r.take(0, wireEvent{id: at(1), kind: "stream.lag", data: "{}", retry: -1})
	r.take(0, wireEvent{id: at(2), hasID: true, kind: "stream.cursor", data: "{}", retry: -1})
	if notes := r.all(); notes[0].Position != "" || notes[1].Position != at(2) {
		t.Errorf("noted %+v", notes)
	}
}

func TestFaultsJudgeSeesWhatIsWrongAndNothingElse(t *testing.T) {
	all, some := parts[0], parts[2]
	vanished := note{What: noteEvent, Position: "3500-0-zzzzz", Type: "a.b", ID: "e5", Sum: 4}
	change := func(e *evidence, f func(*evidence)) *evidence {
		f(e)
		return e
	}
	short := func(e *evidence) *evidence { // its log begins with e4
		e.trims, e.logs["acme"] = true, e.logs["acme"][3:]
		return e
	}
	late := func(e *evidence) *evidence { // it began when e2 was the newest
		e.heads["acme"], e.logs["acme"] = at(2), e.logs["acme"][2:]
		e.attempts = e.attempts[2:]
		e.witnesses[0].notes[1].Position = at(2)
		return e
	}
	tests := []struct {
		name string
		e    *evidence
		want verdict // the counts; accepted apart
	}{
		{"all in order", newCase().saw(all, 1, 2, 3, 4, 5), verdict{}},
		{"all that it may see", newCase().saw(some, 1, 2, 3, 5), verdict{}},
		{"one missing", newCase().saw(all, 1, 2, 4, 5), verdict{lost: 1}},
		{"the last missing", newCase().saw(all, 1, 2, 3, 4), verdict{lost: 1}},
		{"one twice", newCase().saw(all, 1, 2, 2, 3, 4, 5), verdict{repeated: 1}},
		{"two swapped", newCase().saw(all, 1, 3, 2, 4, 5), verdict{lost: 1, misordered: 1}},
		{"one that it did not ask for", newCase().saw(some, 1, 2, 3, 4, 5), verdict{leaked: 1}},
		{"one of another merchant", change(newCase().saw(all, 1, 2, 3, 4, 5), func(e *evidence) {
			f := e.facts["e2"]
			f.Merchant = "globex"
			e.facts["e2"] = f
		}), verdict{leaked: 1, invented: 1, lost: 1}},
		{"another's canary", change(newCase().saw(all, 1, 2, 3, 4, 5), func(e *evidence) { e.witnesses[0].leaked = []string{"globex"} }), verdict{leaked: 1}},
		{"one never published", newCase().saw(all, 1, 2, 3, 4, 5, note{What: noteEvent, Position: at(6), ID: "e6"}), verdict{invented: 1}},
		{"one with other data", newCase().saw(all, 1, 2, 3, 4, note{What: noteEvent, Position: at(5), Type: "a.b", ID: "e5", Sum: 99}), verdict{invented: 1, lost: 1}},
		{"accepted and in no log", change(newCase().saw(all, 1, 2, 3, 4), func(e *evidence) { e.logs["acme"] = e.logs["acme"][:4] }), verdict{lost: 1}},
		{"told the position of another", change(newCase().saw(all, 1, 2, 3, 4, 5), func(e *evidence) { e.attempts[1].Position = at(3) }), verdict{crossed: 1}},
		{"an answer 500", change(newCase().saw(all, 1, 2, 3, 4, 5), func(e *evidence) { e.attempts = append(e.attempts, attempt{Merchant: "acme", ID: "e1", Status: 500}) }), verdict{broken: 1}},

		{"one vanished, and a reset", newCase().saw(all, 1, 2, 3, vanished, resetTo("rolled_back", "3500-0-zzzzz", at(1)), 1, 2, 3, 4, 5), verdict{vanished: 1, needed: 1, sent: 1}},
		{"one vanished, and no reset", newCase().saw(all, 1, 2, 3, vanished, 4, 5), verdict{vanished: 1, needed: 1, missing: 1}},
		{"a reset for nothing", newCase().saw(all, 1, 2, 3, resetTo("rolled_back", at(3), at(2)), 2, 3, 4, 5), verdict{sent: 1, needless: 1}},
		{"a reset that skips what is there", newCase().saw(all, 1, 2, vanished, resetTo("rolled_back", "3500-0-zzzzz", at(4)), 4, 5), verdict{vanished: 1, needed: 1, sent: 1, lost: 1}},
		{"a reset, and then a gap", newCase().saw(all, 1, 2, vanished, resetTo("rolled_back", "3500-0-zzzzz", at(2)), 2, 4, 5), verdict{vanished: 1, needed: 1, sent: 1, lost: 1}},
		{"rolled back to before the trial, and a reset", late(newCase().saw(all, 3, vanished, resetTo("rolled_back", "3500-0-zzzzz", at(1)), 1, 2, 3, 4, 5)), verdict{vanished: 1, needed: 1, sent: 1}},
		{"back before the trial, and no reset", late(newCase().saw(all, 3, 2, 4, 5)), verdict{repeated: 1}},
		{"trimmed, and a reset", short(newCase().saw(all, 1, resetTo("trimmed", at(1), at(4)), 4, 5)), verdict{needed: 1, sent: 1}},
		{"trimmed, and no reset", short(newCase().saw(all, 1, 4, 5)), verdict{lost: 2}},
	}
	for _, tt := range tests {
		v := judge(tt.e)
		got := *v
		got.accepted, got.findings = 0, nil
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: judged %+v, want %+v; found %q", tt.name, got, tt.want, v.findings)
		}
	}
}
