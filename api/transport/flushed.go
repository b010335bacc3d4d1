package transport

import (
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

// writeTimeout is how long a flushed response waits for its client to take
// writeMost bytes. Tests shorten it.
var writeTimeout = 10 * time.Second

const writeMost = 16 << 10

// flushed is the [streams.Writer] of HTTP/2 and TLS.
type flushed struct {
	w       http.ResponseWriter
	control *http.ResponseController
	aborted atomic.Bool
}

// Write implements [streams.Writer].
func (f *flushed) Write(p []byte) (written int, err error) {
	for part := range slices.Chunk(p, writeMost) {
		if err := f.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return written, err
		}
		if f.aborted.Load() { // Abort's deadline may have been replaced
			f.Abort()
			return written, os.ErrDeadlineExceeded
		}
		n, err := f.w.Write(part)
		written += n
		if err != nil {
			return written, err
		}
		if err := f.control.Flush(); err != nil {
			return written, err
		}
	}
	// In HTTP/2 a deadline that passes ends the stream, even if nothing is being
	// written.
	return written, f.control.SetWriteDeadline(time.Time{})
}

// Abort implements [streams.Writer]. In HTTP/2 it resets the stream.
func (f *flushed) Abort() {
	f.aborted.Store(true)
	_ = f.control.SetWriteDeadline(time.Now().Add(-time.Second)) // an error means that the connection is gone
}

// Progress implements [streams.Writer]. Write waits, so hubs never ask.
func (f *flushed) Progress() bool { return false }

// Lost implements [streams.Writer]. HTTP/2 pings its clients.
func (f *flushed) Lost() bool { return false }

// Close implements [streams.Writer]. The connection belongs to net/http.
func (f *flushed) Close() error { return nil }
