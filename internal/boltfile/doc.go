// Package boltfile keeps a bbolt database that can be relied upon: what an
// update has confirmed is on the disk, as far as the disk keeps its word, and
// a disk that fails or fills up costs no restart.
//
// bbolt itself takes a sync that failed for one that can be tried again. The
// kernel does not: it may have dropped the page and will report the next sync
// as good. A [File] writes that page again before anything is built upon it.
// And where bbolt meets a page that makes no sense it panics; a File answers
// with [ErrDamaged].
package boltfile
