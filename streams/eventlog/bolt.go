package eventlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paylogic/pushserver/internal/boltfile"
)

// boltLayout names the format of a BoltLog's file. It changes with the format.
const boltLayout = "events 1"

// boltPatience is how long a write waits for the disk before it fails with
// ErrUnavailable.
const boltPatience = 5 * time.Second

// BoltOptions configure a [BoltLog]. The zero value works.
type BoltOptions struct {
	Retention       Retention
	DuplicateWindow time.Duration // 1 hour if zero
	Logger          *slog.Logger  // slog.Default() if nil
}

// A BoltLog is a [Log] in one local file, for a single gateway. An event that
// Append accepted is on the disk.
//
// Retention is exact: an entry that is too old, or has too many newer ones, is
// no longer read, even before its space is freed. The file never shrinks; freed
// space is used again. In memory, the log keeps about 130 bytes for each event
// of the duplicate window, for each log that was appended to.
type BoltLog struct {
	file      *boltfile.File
	retention Retention
	window    time.Duration
	logger    *slog.Logger

	bells   bellTower
	failing atomic.Bool // the last commit failed

	stop context.CancelFunc // ends the sweeper
	ends sync.WaitGroup     // the committer and the sweeper

	mu      sync.Mutex // guards the following
	waiting []*boltJob
	closed  bool
	wake    chan struct{} // holds one token if the committer may have work

	// Only the committer uses these fields.
	taken      map[string]map[eventHash]boltTaken // the duplicate window of each log that was appended to
	complained time.Time                          // when a failed write was last logged
}

// OpenBoltLog opens the log in the file at path, or creates it. The directory
// must exist. It fails if another process has the file open, or if the file
// holds something else. The error says what to do.
func OpenBoltLog(path string, o BoltOptions) (*BoltLog, error) {
	file, err := boltfile.Open(path, boltLayout)
	if err != nil {
		return nil, fmt.Errorf("eventlog: %w", err)
	}
	if err := makeBoltBuckets(file); err != nil {
		return nil, errors.Join(fmt.Errorf("eventlog: %w", err), file.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	l := &BoltLog{
		file:      file,
		retention: o.Retention.orDefault(),
		window:    cmp.Or(o.DuplicateWindow, DefaultDuplicateWindow),
		logger:    cmp.Or(o.Logger, slog.Default()),
		stop:      stop,
		wake:      make(chan struct{}, 1),
		taken:     make(map[string]map[eventHash]boltTaken),
	}
	l.ends.Go(l.commitAll)
	l.ends.Go(func() { l.sweepAll(ctx) })
	return l, nil
}

// Bells implements [Log].
func (l *BoltLog) Bells(ctx context.Context, ring func(log string)) {
	defer l.bells.add(ring)()
	<-ctx.Done()
}

// Check implements [Log]. If the last write failed, it tries another one.
func (l *BoltLog) Check(ctx context.Context) error {
	if err := l.file.Check(); err != nil {
		return fmt.Errorf("check the log's file: %w: %w", ErrUnavailable, err)
	}
	if !l.failing.Load() {
		return nil
	}
	// An empty transaction also writes pages and syncs them.
	if err := l.commit(ctx, &boltJob{do: func(*boltWrite) error { return nil }}); err != nil {
		return fmt.Errorf("check the log's file: %w", err)
	}
	return nil
}

// Durability implements [Log].
func (l *BoltLog) Durability() Durability { return Durable }

// Close implements [Log]. Appends that wait for the disk are finished first.
func (l *BoltLog) Close() error {
	l.stop()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.rouse()
	l.ends.Wait()
	return l.file.Close()
}

func boltFault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, boltfile.ErrUnavailable), errors.Is(err, boltfile.ErrUnsure):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}
