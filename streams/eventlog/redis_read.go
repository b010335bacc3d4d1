package eventlog

import (
	"context"
	"strconv"
	"time"

	"github.com/paylogic/pushserver/internal/rediscluster"
)

// rollbackPause is how long a read waits before it confirms a rollback. Just after
// a failover, it may have asked a node that does not know of the failover yet.
const rollbackPause = 75 * time.Millisecond

// Read implements [Log].
func (l *RedisLog) Read(ctx context.Context, log string, after ID, limit int) (Batch, error) {
	if !after.IsZero() {
		// Usually the position's own entry is there. It proves that the entries after
		// it are complete.
		entries, err := l.rangeFrom(ctx, log, after, limit)
		if err != nil {
			return Batch{}, err
		}
		if batch, ok := continues(entries, after, limit); ok {
			return batch, nil
		}
	}
	batch, err := l.readProving(ctx, log, after, limit)
	if err != nil || batch.Gap == nil || batch.Gap.Reason != RolledBack {
		return batch, err
	}
	l.reload()
	rediscluster.Sleep(ctx, rollbackPause)
	return l.readProving(ctx, log, after, limit)
}

// rangeFrom returns the entry at a position, if there is one, and up to limit
// entries after it.
func (l *RedisLog) rangeFrom(ctx context.Context, log string, from ID, limit int) ([]Entry, error) {
	var reply []any
	err := l.query(ctx, log, func(ctx context.Context) (err error) {
		reply, err = l.client.Do(ctx, "XRANGE", keysOf(log).log, from.stamp(), "+", "COUNT", limit+1).Slice()
		return err
	})
	if err != nil {
		return nil, err
	}
	return readEntries(log, reply)
}

// continues returns the entries that follow a position without a gap, or false if
// the entries do not prove it.
//
// There are two proofs: the first entry is the position's own, or it names the
// position as its predecessor.
func continues(entries []Entry, after ID, limit int) (Batch, bool) {
	if len(entries) == 0 {
		return Batch{}, false
	}
	if entries[0].ID == after {
		entries = entries[1:]
	}
	prev := after
	for i, e := range entries {
		if e.Prev != prev && i == 0 { //mutant:never continuity
			return Batch{}, false
		}
		// The next read begins here, and finds the gap.
		if e.Prev != prev || i == limit { //mutant:never continuity
			entries = entries[:i]
			break
		}
		prev = e.ID
	}
	return Batch{Entries: entries}, true
}

// readProving reads the entries and the ends of the log at one moment.
func (l *RedisLog) readProving(ctx context.Context, log string, after ID, limit int) (Batch, error) {
	v, err := l.view(ctx, log, after.stamp(), limit+1)
	if err == nil && v.bounds.Origin.IsZero() {
		err = l.makeOrigin(ctx, log)
		if err == nil {
			v, err = l.view(ctx, log, after.stamp(), limit+1)
		}
	}
	if err != nil {
		return Batch{}, err
	}
	if !after.IsZero() {
		if batch, ok := continues(v.entries, after, limit); ok {
			return batch, nil
		}
		if len(v.entries) == 0 && after == v.bounds.Head {
			return Batch{}, nil
		}
	}
	if len(v.entries) > 1 && v.entries[0].ID == after {
		// Entries in the middle were deleted: the log now begins after them.
		v.bounds.Oldest, v.bounds.Prev = v.entries[1].ID, v.entries[1].Prev
		return Batch{Gap: &Gap{Reason: Trimmed, Bounds: v.bounds}}, nil
	}
	return Batch{Gap: v.bounds.gap(after)}, nil
}

// Bounds implements [Log].
func (l *RedisLog) Bounds(ctx context.Context, log string) (Bounds, error) {
	v, err := l.view(ctx, log, "-", 0)
	if err != nil || !v.bounds.Origin.IsZero() {
		return v.bounds, err
	}
	if err := l.makeOrigin(ctx, log); err != nil {
		return Bounds{}, err
	}
	v, err = l.view(ctx, log, "-", 0)
	return v.bounds, err
}

func (l *RedisLog) makeOrigin(ctx context.Context, log string) error {
	incarnation := newTag()
	return l.query(ctx, log, func(ctx context.Context) error {
		return l.client.HSetNX(ctx, keysOf(log).head, "inc", string(incarnation[:])).Err()
	})
}

// Seek implements [Log].
func (l *RedisLog) Seek(ctx context.Context, log string, t time.Time) (after, first ID, err error) {
	v, err := l.view(ctx, log, strconv.FormatInt(max(0, t.UnixMilli()), 10), 1)
	switch {
	case err != nil:
		return ID{}, ID{}, err
	case len(v.entries) > 0:
		return v.entries[0].Prev, v.entries[0].ID, nil
	case !v.bounds.Head.IsZero():
		return v.bounds.Head, ID{}, nil
	}
	b, err := l.Bounds(ctx, log)
	return b.Head, ID{}, err
}

// A view is a part of a log and its ends at one moment.
type view struct {
	entries []Entry
	bounds  Bounds // Origin, and perhaps Head, is zero if the log was never used
}

// view reads up to count entries from a position on, and the ends of the log.
func (l *RedisLog) view(ctx context.Context, log, from string, count int) (view, error) {
	k := keysOf(log)
	var reply []any
	err := l.query(ctx, log, func(ctx context.Context) (err error) {
		reply, err = readScript.Run(ctx, l.client, []string{k.log, k.head}, from, count).Slice()
		return err
	})
	if err != nil {
		return view{}, err
	}
	return readView(log, reply)
}

func readView(log string, reply []any) (v view, err error) {
	if len(reply) != 5 {
		return view{}, refusal(log, "a view of another shape")
	}
	inc, _ := reply[1].(string)
	last, _ := reply[2].(string)
	var ends [2][]Entry // the oldest, the newest
	for i, part := range []*[]Entry{&v.entries, &ends[0], &ends[1]} {
		entries, _ := reply[[]int{0, 3, 4}[i]].([]any)
		if *part, err = readEntries(log, entries); err != nil {
			return view{}, err
		}
	}
	if inc != "" {
		if v.bounds.Origin, err = ParseID("0-0-" + inc); err != nil {
			return view{}, refusal(log, "its head has a malformed incarnation")
		}
		v.bounds.Head = v.bounds.Origin
	}
	if oldest := ends[0]; len(oldest) > 0 {
		v.bounds.Oldest, v.bounds.Prev = oldest[0].ID, oldest[0].Prev
	}
	if newest := ends[1]; len(newest) > 0 { // the head was deleted
		v.bounds.Head = newest[0].ID
	}
	if last != "" {
		if v.bounds.Head, err = ParseID(last); err != nil {
			return view{}, refusal(log, "its head has a malformed position")
		}
	}
	return v, nil
}
