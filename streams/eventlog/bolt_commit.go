package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/paylogic/pushserver/internal/boltfile"
)

// Group commit: what is to be written while a transaction is under way shares
// the next one and its sync.
const (
	maxCommitJobs  = 1024
	maxCommitBytes = 8 << 20
)

// A boltJob is something to write.
type boltJob struct {
	size int // about how many bytes it is
	// do may be called more than once, each time with a transaction that knows
	// nothing of the calls before. Nobody reads its results unless it succeeded.
	do    func(*boltWrite) error
	until time.Time  // nobody waits for it any more
	done  chan error // takes one, an error of the log
}

// commit has a job done, and returns when it is on the disk.
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

// submit reports whether the job will be done.
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

// rouse makes the committer look for jobs.
func (l *BoltLog) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// commitAll is the committer: it does jobs until the log is closed and none is
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

// take removes the jobs of the next transaction, and those for which nobody
// waits any more.
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

// commitBatch does jobs in one transaction. A job that fails over what it finds
// in its log is left out of it.
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
				clear(l.taken) // it is read again from what there is then
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
		default: // bbolt met the damage itself, and does not say where
			for i := range batch {
				l.commitBatch(batch[i : i+1])
			}
			return
		}
	}
}

// unwritable reports that the file cannot be written, once in a few seconds.
func (l *BoltLog) unwritable(err error) {
	if now := time.Now(); now.Sub(l.complained) >= 5*time.Second {
		l.complained = now
		l.logger.Error("the log's file cannot be written; events are refused", "error", err)
	}
}

// commit does jobs in one transaction. If it fails and at is less than the
// number of jobs, that is the one that failed.
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

// settle makes what was committed known.
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
