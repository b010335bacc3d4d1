package eventlog

import "time"

// A Reason says why a read cannot be complete.
type Reason string

const (
	// Trimmed: the position is older than the oldest retained event.
	Trimmed Reason = "trimmed"
	// RolledBack: the log lost the position, with other new entries, in a
	// failure.
	RolledBack Reason = "rolled_back"
	// Rebuilt: the log was created again after the position.
	Rebuilt Reason = "rebuilt"
	// Unknown: the position belongs to no log.
	Unknown Reason = "unknown"
)

// RollbackReach is how far a reader steps back from a lost position, by the
// log's time. After a failover, a machine whose clock is behind may have given
// the same events older positions. The reader may see events twice, which a
// reset permits.
const RollbackReach = 10 * time.Second

// A Gap says that the events after a position cannot be proved complete.
type Gap struct {
	Reason Reason
	Bounds Bounds // of the log, when the gap was found
}

// proves reports whether a log with these bounds retains everything after
// cursor, although it has no entry at cursor: cursor is the head, or the oldest
// entry names it as its predecessor.
func (b Bounds) proves(cursor ID) bool {
	return cursor == b.Head || !b.Oldest.IsZero() && cursor == b.Prev
}

// gap says why a log with these bounds cannot continue from cursor.
func (b Bounds) gap(cursor ID) *Gap {
	reason := RolledBack
	switch {
	case cursor.IsZero():
		reason = Unknown
	case cursor.IsOrigin() && cursor != b.Origin, b.Head.IsOrigin():
		reason = Rebuilt
	case b.Oldest.IsZero() && cursor.Compare(b.Head) < 0:
		reason = Trimmed
	case b.Oldest.IsZero():
	case cursor.Compare(b.Oldest) < 0 && b.Prev.IsOrigin():
		reason = Rebuilt
	case cursor.Compare(b.Oldest) < 0:
		reason = Trimmed
	}
	return &Gap{Reason: reason, Bounds: b}
}
