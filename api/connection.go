package api

import (
	"bytes"
	"net/http"
	"slices"
	"time"

	"github.com/paylogic/pushserver/streams"
)

// streamHeader sets what every stream has.
func streamHeader(h http.Header, form string) {
	h.Set("Content-Type", form+"; charset=utf-8")
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no")
	h.Set("Vary", "Authorization, Origin")
}

// carry writes the stream that sub is, whose header is set, to the connection, and
// a preface before it.
func (s *Server) carry(w http.ResponseWriter, r *http.Request, c *connection, sub *streams.Subscription, preface []byte) {
	if s.hijack(w, r, c, sub, preface) {
		return
	}
	defer c.left()
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(preface)                                                            // what is wrong shows with the next write
	_ = sub.Serve(r.Context(), &flushed{w: w, control: http.NewResponseController(w)}) // however it ended, the answer is over
}

// head returns the head of a response that ends with its connection.
func head(h http.Header) []byte {
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 200 OK\r\nDate: ")
	b.WriteString(time.Now().UTC().Format(http.TimeFormat))
	b.WriteString("\r\nConnection: close\r\n")
	h.Write(&b) // a buffer takes everything
	b.WriteString("\r\n")
	return b.Bytes()
}

// writeTimeout is how long a flushed response waits until its client has taken
// writeMost bytes. Tests shorten it.
var writeTimeout = 10 * time.Second

const writeMost = 16 << 10

// flushed is the [streams.Writer] of HTTP/2 and TLS.
type flushed struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// Write implements [streams.Writer].
func (f *flushed) Write(p []byte) (written int, err error) {
	for part := range slices.Chunk(p, writeMost) {
		if err := f.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return written, err
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
	// In HTTP/2 a deadline ends the stream when it passes, also if nothing is
	// being written then.
	return written, f.control.SetWriteDeadline(time.Time{})
}

// Progress implements [streams.Writer]. Write waits, so it is not asked.
func (f *flushed) Progress() bool { return false }

// Lost implements [streams.Writer]. HTTP/2 pings its clients.
func (f *flushed) Lost() bool { return false }

// Close implements [streams.Writer]. The connection is the server's, not ours.
func (f *flushed) Close() error { return nil }
