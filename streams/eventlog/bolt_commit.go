package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/paylogic/pushserver/internal/boltfile"
)

// Group commit: jobs that arrive during a transaction share the next one and
// its sync.
const (
	maxCommitJobs  = 1024
	maxCommitBytes = 8 << 20
)

// A boltJob is a write that waits for a transaction.
type boltJob struct {
	size int // estimate, in bytes
	// do may be called several times, each time in a new transaction. Its
	// results count only if the commit succeeded.
	do    func(*boltWrite) error
	until time.Time  // after this, the caller has given up
	done  chan error // receives one error of the log, or nil
}

// commit runs a job, and returns when its writes are on the disk.
func (l *BoltLog) commit(ctx context.Context, j *boltJob) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	patient, cancel := context.WithTimeout(ctx, boltPatience)
	defer cancel()
	j.until, _ = patient.Deadline()
	j.done = make(chan error, 1)
	if !l.submit(j) {
		return fmt.Errorf("%w: it is closed", ErrUnavailable)
	}
	select {
	case err := <-j.done:
		return err
	case <-patient.Done():
		return fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(patient))
	}
}

func (l *BoltLog) submit(j *boltJob) bool {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return false
	}
	l.waiting = append(l.waiting, j)
	l.mu.Unlock()
	l.rouse()
	return true
}

func (l *BoltLog) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// commitAll is the committer. It ends when the log is closed and no job is
// left.
func (l *BoltLog) commitAll() {
	for {
		batch, closed := l.take()
		switch {
		case len(batch) > 0:
			l.commitBatch(batch)
		case closed:
			return
		default:
			<-l.wake
		}
	}
}

// take returns the jobs of the next transaction, and drops jobs whose caller
// has given up.
func (l *BoltLog) take() (batch []*boltJob, closed bool) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	n, size := 0, 0
	for _, j := range l.waiting {
		if len(batch) == maxCommitJobs || len(batch) > 0 && size+j.size > maxCommitBytes {
			break
		}
		n++
		if j.until.After(now) {
			batch = append(batch, j)
			size += j.size
		}
	}
	if l.waiting = l.waiting[n:]; len(l.waiting) == 0 {
		l.waiting = nil
	}
	return batch, l.closed
}

// commitBatch runs jobs in one transaction. A job that fails because of its own
// log is taken out, and the others run again.
func (l *BoltLog) commitBatch(batch []*boltJob) {
	for len(batch) > 0 {
		w := boltWrite{log: l, now: time.Now(), logs: make(map[string]*boltWriting)}
		at, err := w.commit(batch)
		switch {
		case err == nil:
			l.settle(&w)
			l.failing.Store(false)
			for _, j := range batch {
				j.done <- nil
			}
			return
		case errors.Is(err, boltfile.ErrUnavailable), errors.Is(err, boltfile.ErrUnsure):
			l.failing.Store(true)
			l.unwritable(err)
			if errors.Is(err, boltfile.ErrUnsure) {
				clear(l.taken) // unsure what is on the disk: read it again
			}
			for _, j := range batch {
				j.done <- boltFault(err)
			}
			return
		case at < len(batch):
			batch[at].done <- boltFault(err)
			batch = append(batch[:at:at], batch[at+1:]...)
		case len(batch) == 1:
			batch[0].done <- boltFault(err)
			return
		default: // bbolt found the damage, and does not say where
			for i := range batch {
				l.commitBatch(batch[i : i+1])
			}
			return
		}
	}
}

func (l *BoltLog) unwritable(err error) {
	if now := time.Now(); now.Sub(l.complained) >= 5*time.Second {
		l.complained = now
		l.logger.Error("the log's file cannot be written; events are refused", "error", err)
	}
}

// commit runs jobs in one transaction. If it fails with at < len(batch), job at
// failed.
func (w *boltWrite) commit(batch []*boltJob) (at int, err error) {
	err = w.log.file.Update(func(tx *bbolt.Tx) error {
		w.tx = tx
		for at = range batch {
			if err := batch[at].do(w); err != nil {
				return err
			}
		}
		at = len(batch)
		return w.writeHeads()
	})
	return at, err
}

func (l *BoltLog) settle(w *boltWrite) {
	for name, log := range w.logs {
		for event, t := range log.fresh {
			log.taken[event] = t
		}
		if len(log.fresh) > 0 {
			l.bells.ring(name)
		}
	}
}
