package eventlog

import (
	"cmp"
	"context"
	"sync"
	"time"
)

// MemoryOptions configure a [MemoryLog]. The zero value works.
type MemoryOptions struct {
	Retention       Retention
	DuplicateWindow time.Duration // 1 hour if zero
}

// A MemoryLog is a [Log] in memory, for trials, tests and demonstrations.
// Nothing survives the process. Each log is bounded by its retention, which is
// exact.
type MemoryLog struct {
	retention Retention
	window    time.Duration

	mu   sync.RWMutex // guards the following
	logs map[string]*memoryLog

	bells bellTower
}

type memoryLog struct {
	mu      sync.Mutex // guards the following
	origin  ID
	head    ID
	entries queue[Entry]
	taken   map[eventKey]taken
	expiry  queue[eventKey] // keys of taken, oldest first
	states  StateTable
}

// An eventKey identifies an event (CloudEvents 1.0, "source").
type eventKey struct{ source, id string }

// taken is a stored receipt.
type taken struct {
	at     time.Time
	digest Digest
	id     ID
}

// NewMemoryLog returns an empty log.
func NewMemoryLog(o MemoryOptions) *MemoryLog {
	return &MemoryLog{
		retention: o.Retention.orDefault(),
		window:    cmp.Or(o.DuplicateWindow, DefaultDuplicateWindow),
		logs:      make(map[string]*memoryLog),
	}
}

func (m *MemoryLog) log(name string) *memoryLog {
	m.mu.RLock()
	l := m.logs[name]
	m.mu.RUnlock()
	if l != nil {
		return l
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if l = m.logs[name]; l == nil {
		origin := originOf(newTag())
		l = &memoryLog{origin: origin, head: origin, taken: make(map[eventKey]taken)}
		m.logs[name] = l
	}
	return l
}

// Append implements [Log]. It keeps references to the memory of events.
func (m *MemoryLog) Append(ctx context.Context, log string, events []Event) ([]Receipt, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := m.log(log)
	receipts := make([]Receipt, len(events))
	now := time.Now()

	l.mu.Lock()
	l.forget(now.Add(-m.window))
	for i := range events {
		receipts[i] = l.append(now, events[i])
	}
	l.trim(m.retention.of(log), now)
	l.mu.Unlock()

	m.bells.ring(log)
	return receipts, nil
}

// The caller holds l.mu.
func (l *memoryLog) append(now time.Time, e Event) Receipt {
	key := eventKey{e.Source, e.ID}
	digest := e.Digest()
	if t, ok := l.taken[key]; ok {
		if t.digest != digest {
			return Receipt{ID: t.id, Err: ErrReused}
		}
		return Receipt{ID: t.id, Duplicate: true}
	}

	id := ID{ms: uint64(now.UnixMilli()), tag: newTag()}
	if id.ms <= l.head.ms { // the clock stood still or was set back
		id.ms, id.seq = l.head.ms, l.head.seq+1
	}
	entry := Entry{ID: id, Prev: l.head, Event: e}
	l.entries.push(entry)
	if e.State {
		kept := entry // a state may outlive the log's entry
		l.states.Apply(&kept)
	}
	l.head = id
	l.taken[key] = taken{now, digest, id}
	l.expiry.push(key)
	return Receipt{ID: id}
}

// forget removes duplicates from before t. The caller holds l.mu.
func (l *memoryLog) forget(t time.Time) {
	n := 0
	for key := range l.expiry.from(0) {
		if !l.taken[*key].at.Before(t) {
			break
		}
		delete(l.taken, *key)
		n++
	}
	l.expiry.drop(n)
}

// The caller holds l.mu.
func (l *memoryLog) trim(r Retention, now time.Time) {
	oldest := uint64(max(0, now.Add(-r.Age).UnixMilli()))
	n := max(0, l.entries.len()-r.Events)
	for e := range l.entries.from(n) {
		if e.ID.ms >= oldest {
			break
		}
		n++
	}
	l.entries.drop(n)
	l.states.Trim(now.Add(-r.State))
}

// The caller holds l.mu.
func (l *memoryLog) bounds() Bounds {
	b := Bounds{Origin: l.origin, Head: l.head}
	if l.entries.len() > 0 {
		oldest := l.entries.at(0)
		b.Oldest, b.Prev = oldest.ID, oldest.Prev
	}
	return b
}

// Read implements [Log].
func (m *MemoryLog) Read(ctx context.Context, log string, after ID, limit int) (Batch, error) {
	if err := ctx.Err(); err != nil {
		return Batch{}, err
	}
	l := m.log(log)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trim(m.retention.of(log), time.Now())

	i := l.entries.search(func(e *Entry) bool { return e.ID.Compare(after) < 0 })
	switch b := l.bounds(); {
	case i < l.entries.len() && l.entries.at(i).ID == after:
		i++
	case !b.proves(after):
		return Batch{Gap: b.gap(after)}, nil
	case after == b.Head:
		i = l.entries.len()
	default:
		i = 0
	}
	entries := make([]Entry, 0, min(l.entries.len()-i, limit))
	for e := range l.entries.from(i) {
		if len(entries) == limit {
			break
		}
		entries = append(entries, *e)
	}
	return Batch{Entries: entries}, nil
}

// Bounds implements [Log].
func (m *MemoryLog) Bounds(ctx context.Context, log string) (Bounds, error) {
	l := m.log(log)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trim(m.retention.of(log), time.Now())
	return l.bounds(), ctx.Err()
}

// Seek implements [Log].
func (m *MemoryLog) Seek(ctx context.Context, log string, t time.Time) (after, first ID, err error) {
	l := m.log(log)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trim(m.retention.of(log), time.Now())

	i := l.entries.search(func(e *Entry) bool { return e.ID.Time().Before(t) })
	if i == l.entries.len() {
		return l.head, ID{}, ctx.Err()
	}
	e := l.entries.at(i)
	return e.Prev, e.ID, ctx.Err()
}

// State implements [Log].
func (m *MemoryLog) State(ctx context.Context, log string) (State, error) {
	l := m.log(log)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trim(m.retention.of(log), time.Now())
	s := State{Head: l.head, Until: l.head}
	for e := range l.states.All() {
		s.Entries = append(s.Entries, *e)
	}
	return s, ctx.Err()
}

// Moved implements [Log].
func (m *MemoryLog) Moved(ctx context.Context, heads map[string]ID) (moved, silent []string, err error) {
	for name, head := range heads {
		l := m.log(name)
		l.mu.Lock()
		if l.head != head {
			moved = append(moved, name)
		}
		l.mu.Unlock()
	}
	return moved, nil, ctx.Err()
}

// Bells implements [Log].
func (m *MemoryLog) Bells(ctx context.Context, ring func(log string)) {
	defer m.bells.add(ring)()
	<-ctx.Done()
}

// Check implements [Log]. It always returns nil, because memory promises
// nothing.
func (m *MemoryLog) Check(context.Context) error { return nil }

// Durability implements [Log].
func (m *MemoryLog) Durability() Durability { return InMemory }

// Close implements [Log].
func (m *MemoryLog) Close() error { return nil }

// A bellTower delivers bells within this process.
type bellTower struct {
	mu      sync.RWMutex // guards the following
	next    int
	ringers map[int]func(log string)
}

func (t *bellTower) add(ring func(log string)) (remove func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ringers == nil {
		t.ringers = make(map[int]func(string))
	}
	n := t.next
	t.next++
	t.ringers[n] = ring
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.ringers, n)
	}
}

func (t *bellTower) ring(log string) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, ring := range t.ringers {
		ring(log)
	}
}

// Lose removes the newest n entries, as a failover removes entries that no
// replica confirmed. It serves tests of readers.
func (m *MemoryLog) Lose(log string, n int) {
	l := m.log(log)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lose(n)
}

// The caller holds l.mu.
func (l *memoryLog) lose(n int) {
	var all []Entry
	for e := range l.entries.from(0) {
		all = append(all, *e)
	}
	l.entries = queue[Entry]{}
	for _, e := range all[:len(all)-n] {
		l.entries.push(e)
		l.head = e.ID
	}
}
