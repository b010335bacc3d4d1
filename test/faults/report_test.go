//go:build linux

package faults

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A report has the figures of all trials of a run.
type report struct{ records []record }

// A record has the figures of one trial.
type record struct {
	name    string
	took    time.Duration
	events  int // in the logs
	readers int
	verdict *verdict
	faults  []string
	memory  string
	silence time.Duration
}

// add notes the figures of a trial.
func (r *report) add(tr *trial, e *evidence, v *verdict) {
	_, name, _ := strings.Cut(tr.t.Name(), "/")
	rec := record{name: name, took: time.Since(tr.began), readers: len(tr.readers), verdict: v}
	for _, entries := range e.logs {
		rec.events += len(entries)
	}
	for i, w := range tr.windows {
		until := w.healed.Add(10 * time.Second)
		if i+1 < len(tr.windows) {
			until = tr.windows[i+1].from
		}
		rec.faults = append(rec.faults, tr.describe(w, until, e))
	}
	for i := range tr.instances {
		m := tr.monitor
		rec.memory += fmt.Sprintf("  gateway %d: %3d/%3d/%3d MB, %d/%d/%d goroutines, %d/%d/%d descriptors\n", i,
			m.start[i].memory>>20, m.peak[i].memory>>20, m.end[i].memory>>20,
			m.start[i].goroutines, m.peak[i].goroutines, m.end[i].goroutines,
			m.start[i].descriptors, m.peak[i].descriptors, m.end[i].descriptors)
	}
	for _, reader := range tr.readers {
		reader.mu.Lock()
		rec.silence = max(rec.silence, reader.silence)
		reader.mu.Unlock()
	}
	r.records = append(r.records, rec)
	tr.t.Log(rec.String())
}

func (r record) String() string {
	var b strings.Builder
	v := r.verdict
	fmt.Fprintf(&b, "%s: %.1f s, %d events, %d readers\n", r.name, r.took.Seconds(), r.events, r.readers)
	fmt.Fprintf(&b, "  attempts accepted %d, refused %d, unanswered %d\n", v.accepted, v.refused, v.unanswered)
	fmt.Fprintf(&b, "  lost %d, repeated %d, misordered %d, leaked %d, invented %d, crossed %d, broken answers %d\n",
		v.lost, v.repeated, v.misordered, v.leaked, v.invented, v.crossed, v.broken)
	fmt.Fprintf(&b, "  resets needed %d, sent %d, missing %d, needless %d; %d deliveries vanished; longest silence %d ms\n",
		v.needed, v.sent, v.missing, v.needless, v.vanished, r.silence.Milliseconds())
	for _, f := range r.faults {
		fmt.Fprintf(&b, "  %s\n", f)
	}
	if r.memory != "" {
		fmt.Fprintf(&b, "  at start/peak/end:\n%s", r.memory)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// String is the sum of all records.
func (r *report) String() string {
	var sum verdict
	for _, rec := range r.records {
		v := rec.verdict
		for _, add := range [][2]*int{
			{&sum.accepted, &v.accepted}, {&sum.refused, &v.refused}, {&sum.unanswered, &v.unanswered},
			{&sum.lost, &v.lost}, {&sum.repeated, &v.repeated}, {&sum.misordered, &v.misordered}, {&sum.leaked, &v.leaked},
			{&sum.invented, &v.invented}, {&sum.crossed, &v.crossed}, {&sum.broken, &v.broken}, {&sum.vanished, &v.vanished},
			{&sum.needed, &v.needed}, {&sum.sent, &v.sent}, {&sum.missing, &v.missing}, {&sum.needless, &v.needless},
		} {
			*add[0] += *add[1]
		}
	}
	total := record{name: "all", verdict: &sum}
	for _, rec := range r.records {
		total.took += rec.took
		total.events += rec.events
		total.readers += rec.readers
		total.silence = max(total.silence, rec.silence)
	}
	return total.String()
}

// describe says what a fault cost, until the next one.
func (tr *trial) describe(w window, until time.Time, e *evidence) string {
	times := make(map[string][]time.Time)
	var all []time.Time
	for _, a := range e.attempts {
		if a.accepted() && a.Ended.After(w.from) && a.Ended.Before(until) {
			times[a.Merchant] = append(times[a.Merchant], a.Ended)
			all = append(all, a.Ended)
		}
	}
	worst, of := time.Duration(0), ""
	for m, t := range times {
		if d := longestWait(t, w.from); d > worst {
			worst, of = d, m
		}
	}
	return fmt.Sprintf("%s: lasted %d ms; without a publish %d ms at all, %d ms for one merchant (%s); caught up %d ms after",
		w.name, w.healed.Sub(w.from).Milliseconds(), longestWait(all, w.from).Milliseconds(),
		worst.Milliseconds(), of, tr.catchUp(w, e).Milliseconds())
}

// catchUp returns how long after a fault the last reader had everything that was
// accepted before its end.
func (tr *trial) catchUp(w window, e *evidence) time.Duration {
	longest := time.Duration(0)
	for _, witness := range e.witnesses {
		newest := ""
		for _, a := range e.attempts {
			if a.accepted() && a.Merchant == witness.merchant && a.Ended.Before(w.healed) && witness.sees(e.facts[a.ID]) {
				newest = a.ID
			}
		}
		for _, n := range witness.notes {
			if n.What == noteEvent && n.ID == newest {
				longest = max(longest, n.At.Sub(w.healed))
				break
			}
		}
	}
	return longest
}

// longestWait returns the longest time between two neighbours of times after start.
func longestWait(times []time.Time, start time.Time) time.Duration {
	times = slices.SortedFunc(slices.Values(times), time.Time.Compare)
	longest := time.Duration(0)
	for _, at := range times {
		if at.After(start) {
			longest = max(longest, at.Sub(start))
			start = at
		}
	}
	return longest
}
