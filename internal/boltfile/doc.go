// Package boltfile makes a bbolt database reliable: a confirmed update is on
// the disk, as far as the disk keeps its promises, and a full or failing disk
// does not require a restart.
//
// After a failed sync, bbolt simply syncs again. The kernel may have dropped
// the page by then, and reports success. A [File] therefore writes the page
// again before the next update. Where bbolt panics over a damaged page, a File
// returns [ErrDamaged].
package boltfile
