package api

import (
	"bytes"
	"net/http"
	"slices"
	"time"

	"github.com/paylogic/pushserver/streams"
)

// open answers with a stream. An error is returned before anything was
// written.
func (s *Server) open(w http.ResponseWriter, r *http.Request, req streams.Request) error {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	if req.Framing == streams.Lines || req.Framing == streams.LinesData {
		h.Set("Content-Type", "application/x-ndjson; charset=utf-8")
	}
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no")
	h.Set("Vary", "Authorization, Origin")
	if r.Method == http.MethodHead {
		h.Set("Connection", "close")
		w.WriteHeader(http.StatusOK)
		return nil
	}

	sub, err := s.hub.Subscribe(r.Context(), req)
	if err != nil {
		return err
	}
	if s.hijack(w, r, sub) {
		return nil
	}
	w.WriteHeader(http.StatusOK)
	_ = sub.Serve(r.Context(), &flushed{w: w, control: http.NewResponseController(w)}) // however it ended, the answer is over
	return nil
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
// writeMost bytes.
const (
	writeTimeout = 10 * time.Second
	writeMost    = 16 << 10
)

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
	return written, nil
}

// Progress implements [streams.Writer]. Write waits, so it is not asked.
func (f *flushed) Progress() bool { return false }

// Lost implements [streams.Writer]. HTTP/2 pings its clients.
func (f *flushed) Lost() bool { return false }

// Close implements [streams.Writer]. The connection is the server's, not ours.
func (f *flushed) Close() error { return nil }
