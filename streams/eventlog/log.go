package eventlog

import (
	"context"
	"errors"
	"time"
)

// Errors of a [Log] that callers branch on.
var (
	// ErrUnavailable: the storage failed or did not answer in time. A published
	// event may be in the log or not; send it again with the same id.
	ErrUnavailable = errors.New("eventlog: the log is out of reach")
	// ErrNotReplicated: the event is in the log, but no replica confirmed it in
	// time, so a failure may still lose it. Send it again with the same id.
	ErrNotReplicated = errors.New("eventlog: no replica confirmed the event")
	// ErrReused: the log has another event with the same source and id.
	ErrReused = errors.New("eventlog: the id was used for another event")
	// ErrDamaged: the data stored under the log's name is not a valid log.
	ErrDamaged = errors.New("eventlog: the log is damaged")
)

// A Log keeps the events of all merchants, in one log per merchant. The name of
// a log is [a-z0-9-]{1,64} with an optional ".test", or a reserved name that
// begins with an underscore.
//
// [MemoryLog], [BoltLog] and [RedisLog] implement it, and pass the same suite.
// All methods may be called concurrently. Errors wrap one of the errors above,
// or the context's.
type Log interface {
	// Append adds events in order and returns a receipt for each. An event
	// whose source and id the log took within the duplicate window is not added
	// again: its receipt has the first position, or ErrReused if the content
	// differs. If one event fails, its receipt has the error and the others are
	// still added. If Append itself returns an error, each event may or may not
	// be in the log.
	Append(ctx context.Context, log string, events []Event) ([]Receipt, error)

	// Read returns up to limit entries after a position, oldest first. The
	// batch is either complete, with no entry missing from after to its last
	// entry, or it has a Gap and no entries.
	Read(ctx context.Context, log string, after ID, limit int) (Batch, error)

	// Bounds returns where the log begins and ends. It gives an unused log its
	// origin.
	Bounds(ctx context.Context, log string) (Bounds, error)

	// Seek returns the first retained entry taken at t or later, and the
	// position to read it from. If there is no such entry, first is zero and
	// after is the head.
	Seek(ctx context.Context, log string, t time.Time) (after, first ID, err error)

	// State returns the newest event of each type and subject with
	// [Event.State], except for subjects without state. It includes events that
	// the log no longer retains.
	State(ctx context.Context, log string) (State, error)

	// Moved compares heads. It returns the names of logs with another head, and
	// of logs whose storage did not answer, then with an error. It finds logs
	// whose bell was lost.
	Moved(ctx context.Context, heads map[string]ID) (moved, silent []string, err error)

	// Bells calls ring with the name of a log soon after it grew, until ctx is
	// done. The calls are hints: some may be missing, repeated, or for other
	// logs. ring must not block.
	Bells(ctx context.Context, ring func(log string))

	// Check returns nil if the log can keep its promise to events that it
	// accepts now. Otherwise the error tells an operator what is wrong.
	Check(ctx context.Context) error

	// Durability returns what an event survives once Append accepted it.
	Durability() Durability

	// Close ends the log's background work. Later calls fail.
	Close() error
}

// Durability is what an accepted event survives.
type Durability string

const (
	Replicated Durability = "replicated"  // the loss of any one Redis node
	BestEffort Durability = "best-effort" // only what Redis happens to survive
	Durable    Durability = "durable"     // the end of the process, and a power failure if the disk keeps its promises
	InMemory   Durability = "memory"      // nothing: the events end with the process
)

// A Receipt is the result of appending one event.
type Receipt struct {
	ID        ID    // its position
	Duplicate bool  // the log had it already, at this position
	Err       error // why the event is not safely in the log, or nil
}

// A Batch is the result of one read.
type Batch struct {
	Entries []Entry
	Gap     *Gap // set if completeness cannot be proved; Entries is then empty
}

// Bounds are the ends of a log.
type Bounds struct {
	Origin ID // the position before the first event ever
	Head   ID // the newest position, or the origin of a log without events
	Oldest ID // the oldest retained entry, or zero
	Prev   ID // the position before Oldest, or zero
}

// Floor returns the position from which a read returns everything retained.
func (b Bounds) Floor() ID {
	if b.Oldest.IsZero() {
		return b.Head
	}
	return b.Prev
}
