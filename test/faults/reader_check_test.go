//go:build linux

package faults

import "slices"

// A readerCheck compares what one reader saw with the log that it should have seen.
type readerCheck struct {
	verdict *verdict
	facts   map[string]fact
	witness witness
	log     *expectedLog

	want     []logged        // what it must get, in order
	at       map[string]int  // index into want by position
	next     int             // index into want
	optional string          // where a reset begins, if the reader already had that event
	given    map[string]bool // positions it was given
	states   map[string]bool // subjects whose state it got since the last reset; nil if there was no reset
	owes     bool            // it got a position that vanished, and no reset since
	early    bool            // a reset took it to a position before the trial
}

func (h *readerCheck) check() {
	v, w := h.verdict, h.witness
	for _, leaked := range w.leaked {
		v.find(&v.leaked, "%s of %s received a canary of %s", w.name, w.merchant, leaked)
	}
	begun := false
	for _, n := range w.notes {
		if !begun && n.What == noteStream && n.Type == "stream.open" && n.Position != "" {
			begun = true
			h.begin(v.stampOf(n.Position))
			continue
		}
		switch n.What {
		case noteOpened:
			if n.Status != 200 && n.Status != 503 {
				v.find(&v.broken, "%s was answered with %d %s", w.name, n.Status, n.Text)
			}
		case noteStream:
			if n.Type == "stream.reset" {
				h.reset(n)
			} else if n.Position != "" && h.log.vanished(n.Position) {
				h.owe()
			}
		case noteEvent:
			h.take(n)
		case noteState:
			h.learn(n)
		}
	}
	if !begun {
		v.find(&v.lost, "%s of %s was never let in", w.name, w.merchant)
		return
	}
	h.passOver(len(h.want))
	if !w.finished {
		v.find(&v.lost, "%s of %s did not get the last event", w.name, w.merchant)
	}
}

// begin finds what follows the position from which the reader began.
func (h *readerCheck) begin(from stamp) {
	h.at = make(map[string]int)
	for _, entry := range h.log.entries {
		if from.before(h.verdict.stampOf(entry.Position)) && h.witness.sees(h.facts[entry.ID]) {
			h.at[entry.Position] = len(h.want)
			h.want = append(h.want, entry)
		}
	}
}

// owe notes that a reset must come before the next event that stands.
func (h *readerCheck) owe() {
	if !h.owes {
		h.owes = true
		h.verdict.needed++
	}
}

func (h *readerCheck) take(n note) {
	v, w := h.verdict, h.witness
	h.states = nil
	switch f, known := h.facts[n.ID]; {
	case !known, f.Sum != n.Sum, f.Type != n.Type:
		v.find(&v.invented, "%s received %s %s at %s, which was not published like this", w.name, n.Type, n.ID, n.Position)
		return
	case f.Merchant != w.merchant, !w.sees(f):
		v.find(&v.leaked, "%s of %s received %s, which it may not see or did not ask for", w.name, w.merchant, n.ID)
		return
	}
	if h.log.vanished(n.Position) {
		v.vanished++
		h.owe()
		return
	}
	if h.owes {
		h.owes = false
		v.find(&v.missing, "%s of %s received %s at %s after a position that vanished, without a reset", w.name, w.merchant, n.ID, n.Position)
	}
	at, ok := h.at[n.Position]
	switch {
	case !ok && h.early && h.log.precedes(n.Position):
	case !ok:
		v.find(&v.repeated, "%s of %s received %s at %s, which is before where it began", w.name, w.merchant, n.ID, n.Position)
	case at >= h.next:
		h.passOver(at)
		h.next = at + 1
	case h.given[n.Position]:
		v.find(&v.repeated, "%s of %s received %s at %s again", w.name, w.merchant, n.ID, n.Position)
	default:
		v.find(&v.misordered, "%s of %s received %s at %s late", w.name, w.merchant, n.ID, n.Position)
	}
	h.given[n.Position] = true
}

// learn checks a state. It may come after a reset, once for each subject.
func (h *readerCheck) learn(n note) {
	v, w := h.verdict, h.witness
	f := h.facts[n.ID]
	switch {
	case f.Sum != n.Sum, f.Type != n.Type, f.Type != stateType:
		v.find(&v.invented, "%s received the state %s %s, which was not published like this", w.name, n.Type, n.ID)
	case f.Merchant != w.merchant, !w.sees(f):
		v.find(&v.leaked, "%s of %s received the state %s, which it may not see or did not ask for", w.name, w.merchant, n.ID)
	case h.states == nil, h.states[f.Subject]:
		v.find(&v.repeated, "%s of %s received a state of %s again, or without a reset", w.name, w.merchant, f.Subject)
	default:
		h.states[f.Subject] = true
	}
}

// passOver notes that the reader is beyond all entries before at. Those that it did
// not get are lost.
func (h *readerCheck) passOver(at int) {
	for _, entry := range h.want[min(h.next, at):at] {
		if entry.Position != h.optional {
			h.verdict.find(&h.verdict.lost, "%s of %s was not given %s at %s", h.witness.name, h.witness.merchant, entry.ID, entry.Position)
		}
	}
	h.next, h.optional = max(h.next, at), ""
}

// reset checks a reset. A reset makes repeats legal. It makes a gap legal only before
// the oldest entry of the log.
func (h *readerCheck) reset(n note) {
	v, w := h.verdict, h.witness
	v.sent++
	r, err := readReset(n.Text)
	if err != nil || r.ResumeFrom == "" {
		v.find(&v.broken, "%s received the reset %s", w.name, n.Text)
		return
	}
	if !h.owes {
		if h.log.stands(r.Requested) {
			v.find(&v.needless, "%s of %s received the reset %s, and nothing was missing", w.name, w.merchant, n.Text)
		} else {
			v.needed++
		}
	}
	h.owes, h.states = false, make(map[string]bool)
	h.early = h.early || h.log.precedes(r.ResumeFrom)
	from := v.stampOf(r.ResumeFrom)
	at, _ := slices.BinarySearchFunc(h.want, from, func(entry logged, from stamp) int {
		if v.stampOf(entry.Position).before(from) {
			return -1
		}
		return 1
	})
	if r.Reason == "trimmed" && !h.log.stands(r.Requested) {
		h.next = at // the reset announced that what was before is gone
	}
	h.passOver(at)
	h.next = at
	if h.given[r.ResumeFrom] {
		h.optional = r.ResumeFrom // the head itself, if nothing followed it
	}
}
