package eventlog

import (
	"context"
	"errors"
	"time"
)

// Errors of a [Log] that callers branch on.
var (
	// ErrUnavailable: the log's storage did not answer, or not in time. A
	// publish may or may not have been taken; send it again with its id.
	ErrUnavailable = errors.New("streams: the log is out of reach")
	// ErrNotReplicated: the event is in the log, but no replica confirmed it in
	// time, so that a failure may still take it away. Send it again with its id.
	ErrNotReplicated = errors.New("streams: no replica confirmed the event")
	// ErrReused: an event with this source and id is in the log with another
	// content.
	ErrReused = errors.New("streams: the id was used for another event")
	// ErrDamaged: what is stored under the log's name is not a log of ours.
	ErrDamaged = errors.New("streams: the log is damaged")
)

// A Log keeps the events of every merchant, each merchant's in a log of its
// own, named by [a-z0-9-]{1,64} with an optional ".test", or by a reserved name
// that begins with an underscore.
//
// [MemoryLog], [BoltLog] and [RedisLog] implement it; the same suite runs over
// all of them. All methods may be called concurrently. Errors wrap one of those
// above, or the context's.
type Log interface {
	// Append adds events to the log in their order and returns a receipt for
	// each. An event whose source and id the log took within the duplicate
	// window is not added again: its receipt has the first position, or
	// ErrReused if it is another event. An item's failure is in its receipt
	// and does not hold up those behind it; the error is for failures of all.
	Append(ctx context.Context, log string, events []Event) ([]Receipt, error)

	// Read returns what follows after, oldest first, at most limit entries.
	// Either the batch is complete, with nothing missing between after and its
	// first entry nor between its entries, or it has a Gap and no entries.
	Read(ctx context.Context, log string, after ID, limit int) (Batch, error)

	// Bounds returns where the log begins and ends. It makes the log's origin
	// if nobody has asked for it before.
	Bounds(ctx context.Context, log string) (Bounds, error)

	// Seek returns the first retained entry that the log took at t or later, and
	// the position to read after in order to get it. If there is no such entry,
	// first is zero and after is the head.
	Seek(ctx context.Context, log string, t time.Time) (after, first ID, err error)

	// State returns the newest event of each (type, subject) that has [Event.State]
	// and was not taken back. It holds events that the log itself no longer
	// retains.
	State(ctx context.Context, log string) (State, error)

	// Moved returns the names of those logs whose head is not the given one, and
	// of those whose storage did not answer: then there is an error, too. It is
	// what finds a log whose bell was lost.
	Moved(ctx context.Context, heads map[string]ID) (moved, silent []string, err error)

	// Bells calls ring with the name of a log that may have grown, soon after
	// it did, until ctx is done. It is a hint: calls may be missing, doubled or
	// for logs that nobody reads. ring must not block.
	Bells(ctx context.Context, ring func(log string))

	// Check returns nil if events that Append accepts now are as safe as the
	// log promises, or an error that says what is wrong, for an operator.
	Check(ctx context.Context) error

	// Durability says what a receipt without error promises.
	Durability() Durability

	// Close ends what the log runs in the background. Calls after it fail.
	Close() error
}

// Durability is what an accepted event survives.
type Durability string

const (
	Replicated Durability = "replicated"  // the loss of any one Redis node
	BestEffort Durability = "best-effort" // nothing that Redis does not happen to survive
	Durable    Durability = "durable"     // the end of the process, and of the machine's power as far as its disk keeps its word
	InMemory   Durability = "memory"      // not the end of this process
)

// A Receipt says what became of one event.
type Receipt struct {
	ID        ID    // its position
	Duplicate bool  // it was in the log before, at this position
	Err       error // why it cannot be relied upon; nil if it can
}

// A Batch is what one read of a log found.
type Batch struct {
	Entries []Entry
	Gap     *Gap // set if completeness cannot be proved; then there are no entries
}

// Bounds are the ends of a log.
type Bounds struct {
	Origin ID // the position before the first event it ever had
	Head   ID // the newest position, or the origin if it never had an event
	Oldest ID // the oldest retained entry; zero if none is
	Prev   ID // the position before Oldest; zero if Oldest is
}

// Floor returns the position from which everything retained can be read.
func (b Bounds) Floor() ID {
	if b.Oldest.IsZero() {
		return b.Head
	}
	return b.Prev
}
