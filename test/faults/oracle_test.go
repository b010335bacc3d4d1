//go:build linux

package faults

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Evidence is everything that a trial has collected.
type evidence struct {
	facts     map[string]fact     // by id
	attempts  []attempt           // in the order of their ends
	heads     map[string]string   // the newest position in each merchant's log before the trial
	logs      map[string][]logged // what each merchant's log got since
	trims     bool                // the logs are so short that they trimmed accepted events
	witnesses []witness
}

// A witness is a reader as the oracle sees it.
type witness struct {
	name, merchant string
	sees           func(fact) bool
	finished       bool // it received the last event
	notes          []note
	leaked         []string
}

// A verdict counts what the evidence shows.
type verdict struct {
	accepted, refused, unanswered int // attempts

	lost       int // accepted and in no log, or in the log and not delivered
	repeated   int // delivered twice, and no reset made that legal
	misordered int // delivered before what is before it in the log
	leaked     int // delivered to a reader that may not see it or did not ask for it
	invented   int // delivered or logged, and never published, or not with this content
	crossed    int // answered with the position of another event, or stored twice
	broken     int // an answer that the API does not give under any fault

	vanished int // delivered from a log that then lost it: legal, if a reset follows
	needed   int // resets
	sent     int
	missing  int
	needless int

	findings []string // the first few violations
}

// red reports whether the contract was broken.
func (v *verdict) red() bool {
	return v.lost+v.repeated+v.misordered+v.leaked+v.invented+v.crossed+v.broken+v.missing+v.needless > 0
}

// findingsMost is of how many of all findings the verdict tells.
const findingsMost = 25

func (v *verdict) find(count *int, format string, args ...any) {
	*count++
	if len(v.findings) < findingsMost {
		v.findings = append(v.findings, fmt.Sprintf(format, args...))
	}
}

// judge holds the evidence against the contract.
func judge(e *evidence) *verdict {
	v := new(verdict)
	logs := make(map[string]*expectedLog)
	for merchant, entries := range e.logs {
		logs[merchant] = v.audit(e, merchant, entries)
	}
	for _, w := range e.witnesses {
		h := readerCheck{verdict: v, facts: e.facts, witness: w, log: logs[w.merchant], given: make(map[string]bool)}
		h.check()
	}
	return v
}

// An expectedLog is one log as readers should have seen it during the trial.
type expectedLog struct {
	entries []logged       // in order; with trims, those that were accepted and are gone, too
	at      map[string]int // index into entries by position
	head    string         // the position before all
	oldest  stamp          // the first that is still there
	trims   bool
}

// audit compares a log with what its publisher was told.
func (v *verdict) audit(e *evidence, merchant string, entries []logged) *expectedLog {
	b := &expectedLog{at: make(map[string]int), head: e.heads[merchant], trims: e.trims}
	if len(entries) > 0 {
		b.oldest = v.stampOf(entries[0].Position)
	}
	first := make(map[string]string) // position by id
	for _, entry := range entries {
		f, known := e.facts[entry.ID]
		switch was := first[entry.ID]; {
		case !known, f.Merchant != merchant, f.Sum != entry.Sum:
			v.find(&v.invented, "the log of %s has %s at %s, which was not published like this", merchant, entry.ID, entry.Position)
		case was != "":
			v.find(&v.crossed, "the log of %s has %s at %s and at %s", merchant, entry.ID, was, entry.Position)
		}
		first[entry.ID] = entry.Position
	}
	told := make(map[string]string)
	for _, a := range e.attempts {
		if a.Merchant != merchant {
			continue
		}
		switch {
		case a.accepted():
			v.accepted++
		case a.Status == 0:
			v.unanswered++
			continue
		case a.Status == 503:
			v.refused++
			continue
		default:
			v.find(&v.broken, "%s was answered with %d %s", a.ID, a.Status, a.Answer)
			continue
		}
		if was := told[a.ID]; was != "" && was != a.Position {
			v.find(&v.crossed, "%s was accepted at %s and at %s", a.ID, was, a.Position)
		}
		told[a.ID] = a.Position
		gone := b.trims && v.stampOf(a.Position).before(b.oldest)
		switch position := first[a.ID]; {
		case gone && position == "":
			first[a.ID] = a.Position
			b.entries = append(b.entries, logged{a.Position, a.ID, e.facts[a.ID].Sum})
		case position == "":
			v.find(&v.lost, "%s was accepted at %s and is in no log", a.ID, a.Position)
		case position != a.Position:
			v.find(&v.crossed, "%s was accepted at %s and is at %s", a.ID, a.Position, position)
		}
	}
	b.entries = append(b.entries, entries...)
	slices.SortStableFunc(b.entries, func(x, y logged) int {
		if v.stampOf(x.Position).before(v.stampOf(y.Position)) {
			return -1
		}
		return 1
	})
	for i, entry := range b.entries {
		b.at[entry.Position] = i
	}
	return b
}

// stampOf is stampAt for positions that must be ones.
func (v *verdict) stampOf(position string) stamp {
	s, err := stampAt(position)
	if err != nil {
		v.find(&v.broken, "%v", err)
	}
	return s
}

// stands reports whether a position that was told to a client still proves what
// comes after it: its entry is there, or it is the one before the first.
func (b *expectedLog) stands(position string) bool {
	_, ok := b.at[position]
	s, err := stampAt(position)
	switch {
	case err != nil, s == stamp{}: // no position of an event
		return true
	case position == b.head:
		return !b.trims
	}
	return ok && !s.before(b.oldest)
}

// vanished reports whether the log lost the newest of its entries, this one
// among them.
func (b *expectedLog) vanished(position string) bool {
	s, err := stampAt(position)
	return err == nil && !b.stands(position) && !(b.trims && s.before(b.oldest)) && !b.precedes(position)
}

// precedes reports whether a position is one from before the trial, of which the
// expected log knows nothing: the head, or before it.
func (b *expectedLog) precedes(position string) bool {
	s, err := stampAt(position)
	head, none := stampAt(b.head)
	return err == nil && none == nil && head != stamp{} && !head.before(s)
}

// A resetNote is the data of stream.reset.
type resetNote struct {
	Reason     string `json:"reason"`
	Requested  string `json:"requested"`
	ResumeFrom string `json:"resume_from"`
	Oldest     string `json:"oldest"`
}

func readReset(text string) (r resetNote, err error) {
	err = json.Unmarshal([]byte(text), &r)
	return r, err
}
