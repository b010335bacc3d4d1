//go:build linux

package faults

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Histories are append-only. They are judged after the trial.

// A fact is an event as its publisher made it.
type fact struct {
	Merchant, ID  string
	Type, Subject string
	Amount        int
	Sum           uint64 // of the data, byte for byte
}

func sumOf(data []byte) uint64 {
	h := fnv.New64a()
	h.Write(data)
	return h.Sum64()
}

// An attempt is one sending of an event and what came of it.
type attempt struct {
	Merchant, ID string
	Instance     int // to which it was sent
	Began, Ended time.Time
	Status       int // 0: no answer
	Position     string
	Answer       string // what a refusal said
}

func (a attempt) accepted() bool { return a.Status == 200 || a.Status == 201 }

// A ledger is the history of what was published.
type ledger struct {
	mu       sync.Mutex      // guards the following
	facts    map[string]fact // of all trials at this cluster
	attempts []attempt
}

func (l *ledger) state(f fact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.facts[f.ID] = f
}

func (l *ledger) note(a attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempts = append(l.attempts, a)
}

// acceptedSince returns for each merchant how many attempts were accepted after a
// time.
func (l *ledger) acceptedSince(at time.Time) map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := make(map[string]int)
	for _, a := range slices.Backward(l.attempts) {
		if a.Ended.Before(at.Add(-time.Minute)) {
			break
		}
		if a.accepted() && a.Ended.After(at) {
			count[a.Merchant]++
		}
	}
	return count
}

// What a note is about.
const (
	noteOpened = "opened" // the response to a request began
	noteEvent  = "event"  // an event of the log
	noteState  = "state"  // an event of the log without an id, which is a state and no position
	noteStream = "stream" // a control event
	noteEnded  = "ended"  // the connection is over
)

// A note is one thing that a reader saw.
type note struct {
	At       time.Time
	What     string
	Instance int
	Status   int           // of a response
	Position string        // the cursor that was sent; the id of an event
	Type     string        // of an event
	ID       string        // of an event of the log
	Sum      uint64        // of its data
	Retry    time.Duration // when to come back; negative if absent
	Text     string        // the data of a control event, a refusal, or why a connection ended
}

// A readerLog is the history of one reader.
type readerLog struct {
	mu      sync.Mutex // guards the following
	notes   []note
	leaked  []string      // merchants whose canaries it received
	silence time.Duration // the longest time without a byte of an open stream
}

func (d *readerLog) note(n note) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n.At = time.Now()
	d.notes = append(d.notes, n)
}

// all returns the notes so far.
func (d *readerLog) all() []note {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.notes)
}

// A logged event is one entry of a log.
type logged struct {
	Position, ID string
	Sum          uint64
}

// A stamp orders positions of one log.
type stamp struct{ ms, seq uint64 }

// stampAt returns the stamp of a position.
func stampAt(position string) (stamp, error) {
	parts := strings.Split(position, "-")
	if len(parts) != 3 {
		return stamp{}, fmt.Errorf("%q is no position", position)
	}
	ms, err := strconv.ParseUint(parts[0], 10, 64)
	if err != nil {
		return stamp{}, fmt.Errorf("%q is no position", position)
	}
	seq, err := strconv.ParseUint(parts[1], 10, 64)
	if err != nil {
		return stamp{}, fmt.Errorf("%q is no position", position)
	}
	return stamp{ms, seq}, nil
}

func (s stamp) before(o stamp) bool { return s.ms < o.ms || s.ms == o.ms && s.seq < o.seq }
