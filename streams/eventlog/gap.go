package eventlog

import "time"

// A Reason says why what follows a position cannot be proved complete.
type Reason string

const (
	// Trimmed: the position is older than what is retained.
	Trimmed Reason = "trimmed"
	// RolledBack: the position is within or beyond the log but not in it: the
	// log lost its newest entries in a failure.
	RolledBack Reason = "rolled_back"
	// Rebuilt: the log was made anew after the position.
	Rebuilt Reason = "rebuilt"
	// Unknown: no log has such a position.
	Unknown Reason = "unknown"
)

// rollbackReach is how far before a rolled back position a reader resumes, by
// the log's time: what was lost and written again may have got an older
// position from a machine whose clock is behind. Repeats are legal after a
// reset.
const RollbackReach = 10 * time.Second

// A Gap says that what follows a position cannot be proved complete.
type Gap struct {
	Reason Reason
	Bounds Bounds // of the log, when that was found
}

// proves reports whether everything after cursor is retained by a log with
// these bounds that has no entry at cursor itself: nothing came after it, or
// the oldest entry names it as the one before.
func (b Bounds) proves(cursor ID) bool {
	return cursor == b.Head || !b.Oldest.IsZero() && cursor == b.Prev
}

// gap returns why a log with these bounds neither has nor proves cursor.
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
