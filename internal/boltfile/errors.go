package boltfile

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	bolterrors "go.etcd.io/bbolt/errors"
)

// guard calls do and returns a panic as an error. bbolt panics over damaged
// pages. The file is mapped into memory, so a failed disk read is a memory
// fault.
func guard(do func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(before)
		switch reason := recover().(type) {
		case nil:
		case interface {
			runtime.Error
			Addr() uintptr
		}:
			err = fmt.Errorf("%w: a page cannot be read", ErrUnavailable)
		default:
			err = fmt.Errorf("%w: %v", ErrDamaged, reason)
		}
	}()
	return do()
}

func storageError(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrDamaged), errors.Is(err, ErrUnavailable):
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// refusal says why the file cannot be opened, and what to do about it.
func (f *File) refusal(err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("open %s: another process holds it: end that one first, or choose another directory", f.path)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrVersionMismatch),
		errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, ErrDamaged):
		return fmt.Errorf("open %s: it is damaged, or no database of ours: bring back a copy, or move it away to begin anew: %w", f.path, err)
	}
	return fmt.Errorf("open %s: %w", f.path, err)
}
