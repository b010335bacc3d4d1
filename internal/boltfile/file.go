package boltfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

// Errors of a [File] that callers branch on. Errors of the callers' own
// functions are returned unchanged.
var (
	// ErrUnavailable: the storage failed. Nothing has changed.
	ErrUnavailable = errors.New("boltfile: the storage failed")
	// ErrUnsure: the storage failed during the commit. Later transactions see
	// whether the change was made.
	ErrUnsure = errors.New("boltfile: the storage failed, and the change may have been made")
	// ErrDamaged: the file does not hold what was written. Nothing has changed.
	ErrDamaged = errors.New("boltfile: what is stored is damaged")
)

// lockWait is how long Open waits for another process, which may be exiting, to
// release the file.
const lockWait = time.Second

// A File is a bbolt database in one file, open in this process only. All
// methods may be called concurrently; updates run one at a time.
type File struct {
	path, layout string

	db atomic.Pointer[handle]

	// writer is held during updates, including their I/O, because it exists to
	// allow one at a time. It guards the following.
	writer  sync.Mutex
	suspect bool // an update failed, and the file was not checked since
	failed  int  // the transaction of that update; 0 if it did not begin
	closed  bool
}

// A handle is an open database and its file.
type handle struct {
	*bbolt.DB
	file *os.File
}

// Open opens the database at path, or creates it with mode 0600. The directory
// must exist. layout names the format of the content in a word or two: a file
// with another layout is refused. The error says what to do.
func Open(path, layout string) (*File, error) {
	f := &File{path: path, layout: layout}
	if err := f.open(); err != nil {
		return nil, err
	}
	return f, nil
}

// View calls look with a read transaction, which sees the database at one
// moment. look must copy what it keeps.
func (f *File) View(look func(*bbolt.Tx) error) error {
	h := f.db.Load()
	if h == nil {
		return fmt.Errorf("%w: %s is not open", ErrUnavailable, f.path)
	}
	var refused error
	err := guard(func() error {
		return h.View(func(tx *bbolt.Tx) error {
			refused = look(tx)
			return refused
		})
	})
	if refused != nil {
		return refused
	}
	return storageError(err)
}

// Update calls change with a write transaction. It returns nil once all changes
// are on the disk. If change returns an error, nothing is changed.
func (f *File) Update(change func(*bbolt.Tx) error) error {
	f.writer.Lock()
	defer f.writer.Unlock()
	if err := f.prepare(); err != nil {
		return err
	}
	h := f.db.Load()
	var id int
	var refused error
	err := guard(func() error {
		return h.Update(func(tx *bbolt.Tx) error {
			id = tx.ID()
			refused = change(tx)
			return refused
		})
	})
	if err == nil || refused != nil {
		return refused
	}
	f.suspect, f.failed = true, id
	if newest, viewErr := h.newest(); viewErr == nil && newest >= id {
		return fmt.Errorf("%w: %w", ErrUnsure, err)
	}
	return storageError(err)
}

// prepare readies the file for an update after a failed one. The caller holds
// f.writer.
func (f *File) prepare() error {
	switch h := f.db.Load(); {
	case f.closed:
		return fmt.Errorf("%w: %s is closed", ErrUnavailable, f.path)
	case h != nil && !f.suspect:
		return nil
	case h != nil:
		if newest, err := h.newest(); err == nil && newest < f.failed {
			f.suspect = false // it only wrote to free pages
			return nil
		}
		// Its last sync failed, or the file is no longer mapped.
		f.db.Store(nil)
		_ = guard(h.Close)
	}
	if err := f.open(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	f.suspect = false
	return nil
}

func (h *handle) newest() (id int, err error) {
	err = guard(func() error {
		return h.View(func(tx *bbolt.Tx) error {
			id = tx.ID()
			return nil
		})
	})
	return id, err
}

// Check returns an error if new writes would be lost, because the file was
// removed or replaced.
func (f *File) Check() error {
	h := f.db.Load()
	if h == nil {
		return fmt.Errorf("%w: %s is not open", ErrUnavailable, f.path)
	}
	ours, err := h.file.Stat()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	there, err := os.Stat(f.path)
	if err != nil || !os.SameFile(ours, there) {
		return fmt.Errorf("%w: %s was removed or replaced while it was open: restart", ErrUnavailable, f.path)
	}
	return nil
}

// Close waits for running transactions, then closes the file.
func (f *File) Close() error {
	f.writer.Lock()
	defer f.writer.Unlock()
	f.closed = true
	if h := f.db.Swap(nil); h != nil {
		return h.Close()
	}
	return nil
}

// The caller holds f.writer, or is the only one with access to f.
func (f *File) open() error {
	h := new(handle)
	err := guard(func() (err error) {
		h.DB, err = bbolt.Open(f.path, 0o600, &bbolt.Options{
			Timeout: lockWait,
			// An array is searched from its start for each page. A free list on
			// the disk avoids reading the whole file at the start, and refusing
			// all of it for one damaged page.
			FreelistType: bbolt.FreelistMapType,
			NoStatistics: true,
			OpenFile: func(name string, flag int, mode os.FileMode) (file *os.File, err error) {
				file, err = os.OpenFile(name, flag, mode)
				h.file = file
				return file, err
			},
		})
		return err
	})
	if err == nil {
		if err = guard(func() error { return h.settle(f.path, f.layout) }); err == nil {
			f.db.Store(h)
			return nil
		}
	}
	if h.DB != nil {
		_ = guard(h.Close)
	} else if h.file != nil {
		_ = h.file.Close() // releases the lock, if bbolt panicked
	}
	return f.refusal(err)
}

// settle checks that the database is complete and has the right layout, and
// puts what it shows on the disk.
func (h *handle) settle(path, layout string) error {
	var id int
	var size int64
	var found string
	err := h.View(func(tx *bbolt.Tx) error {
		id, size = tx.ID(), tx.Size()
		found = layoutOf(tx)
		return nil
	})
	if err != nil {
		return err
	}
	info, err := h.file.Stat()
	switch {
	case err != nil:
		return err
	case info.Size() < size:
		return fmt.Errorf("%w: it was cut to %d of %d bytes", ErrDamaged, info.Size(), size)
	case found != layout && found != "":
		return otherLayout{found, layout}
	}
	if err := h.rewriteMeta(id); err != nil {
		return err
	}
	if found == "" {
		if err := h.Update(func(tx *bbolt.Tx) error { return putLayout(tx, layout) }); err != nil {
			return err
		}
	}
	// A new file survives a loss of power only once its directory is synced.
	return syncDirectory(filepath.Dir(path))
}

// rewriteMeta writes the meta page of transaction id again, unchanged, because
// the process that wrote it may have died after a failed sync. The pages that
// it refers to were synced before. If this write is cut short, the meta page of
// the previous transaction, which is untouched, counts.
func (h *handle) rewriteMeta(id int) error {
	page := make([]byte, h.Info().PageSize)
	at := int64(id%2) * int64(len(page))
	if _, err := h.file.ReadAt(page, at); err != nil {
		return err
	}
	if _, err := h.file.WriteAt(page, at); err != nil {
		return err
	}
	return h.file.Sync()
}

// MakeDirectory creates a directory with mode 0700, if it is missing, so that
// it survives a loss of power. Its parent must exist.
func MakeDirectory(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
			return nil
		}
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

func syncDirectory(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
