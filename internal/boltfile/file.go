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

// Errors of a [File] that callers branch on. The errors of their own functions
// come back as they are.
var (
	// ErrUnavailable: the storage failed. Nothing was changed.
	ErrUnavailable = errors.New("boltfile: the storage failed")
	// ErrUnsure: the storage failed at the last moment. Later transactions see
	// whether the change was made.
	ErrUnsure = errors.New("boltfile: the storage failed, and the change may have been made")
	// ErrDamaged: what is stored is not what was written. Nothing was changed.
	ErrDamaged = errors.New("boltfile: what is stored is damaged")
)

// lockWait is how long Open waits for another process to let go of the file,
// which one that is ending does soon.
const lockWait = time.Second

// A File is a bbolt database in one file, open in this process alone. All
// methods may be called concurrently; updates are made one after the other.
type File struct {
	path, layout string

	db atomic.Pointer[handle]

	// writer is held by who writes, I/O included: that there is one at a time
	// is what it is for. It guards the following.
	writer  sync.Mutex
	suspect bool // an update failed, and nobody has looked into it
	failed  int  // the number of its transaction; 0 if it did not begin
	closed  bool
}

// A handle is a database that is open, and the file that bbolt opened for it.
type handle struct {
	*bbolt.DB
	file *os.File
}

// Open opens the database at path, or makes it, in a directory that exists.
// layout says in a word or two what it holds in which form: a file with another
// layout is refused. The error says what to do.
func Open(path, layout string) (*File, error) {
	f := &File{path: path, layout: layout}
	if err := f.open(); err != nil {
		return nil, err
	}
	return f, nil
}

// View calls look with a transaction that sees the database at one moment.
// Nothing that look keeps may point into the transaction.
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

// Update calls change with a transaction, and returns nil if all of it is on
// the disk. If change returns an error, nothing is changed.
func (f *File) Update(change func(*bbolt.Tx) error) error {
	f.writer.Lock()
	defer f.writer.Unlock()
	if err := f.mend(); err != nil {
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

// mend makes the file fit for an update after one that failed. The caller holds
// f.writer.
func (f *File) mend() error {
	switch h := f.db.Load(); {
	case f.closed:
		return fmt.Errorf("%w: %s is closed", ErrUnavailable, f.path)
	case h != nil && !f.suspect:
		return nil
	case h != nil:
		if newest, err := h.newest(); err == nil && newest < f.failed {
			f.suspect = false // what it wrote lies in free pages
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

// newest returns the number of the newest transaction that can be seen.
func (h *handle) newest() (id int, err error) {
	err = guard(func() error {
		return h.View(func(tx *bbolt.Tx) error {
			id = tx.ID()
			return nil
		})
	})
	return id, err
}

// Check returns an error if what is written would be lost although it is on the
// disk: somebody removed the file or put another in its place.
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

// Close closes the file when those who use it have finished.
func (f *File) Close() error {
	f.writer.Lock()
	defer f.writer.Unlock()
	f.closed = true
	if h := f.db.Swap(nil); h != nil {
		return h.Close()
	}
	return nil
}

// open opens the database and makes sure of what it shows. The caller holds
// f.writer, or nobody else has f yet.
func (f *File) open() error {
	h := new(handle)
	err := guard(func() (err error) {
		h.DB, err = bbolt.Open(f.path, 0o600, &bbolt.Options{
			Timeout: lockWait,
			// An array is searched from its start for each page. Without a list
			// on the disk opening would read the whole file, and refuse all of it
			// for one page that is damaged.
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
		_ = h.file.Close() // and with it the lock, if bbolt panicked
	}
	return f.refusal(err)
}

// settle makes sure that the database is whole, is ours, and is on the disk as
// it is seen.
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
	// A new file is there after a loss of power only if its directory says so.
	return syncDirectory(filepath.Dir(path))
}

// rewriteMeta writes the page that makes transaction id the newest once more,
// as it is: whoever wrote it may have died after its sync failed. The pages that
// it refers to were synced before it was written. The page of the transaction
// before, which is what counts if this write is cut short, is not touched.
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

// MakeDirectory makes a directory for files, if it is not there, in one that is:
// for its owner alone, and there to stay after a loss of power.
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
