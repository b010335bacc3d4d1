package transport

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	discardBodyMax = 32 << 20 // bytes of one refused body

	// discardsMost is how many refused bodies are read at the same time. A client
	// beyond them may see a broken connection and not its answer.
	discardsMost = 128

	// finishedByHTTP is the rest of a body that net/http reads itself before it
	// writes an answer.
	finishedByHTTP = 256 << 10
)

// discardTime is how long one refused body is read. Tests shorten it.
var discardTime = 10 * time.Second

// A Discarder lets refusals reach clients that send a whole body before they read
// the answer. If the server closed over unread input, TCP would reset the
// connection, and the client would see a broken pipe.
//
// The zero value is ready. It is for many goroutines.
type Discarder struct{ running atomic.Int32 }

// Answer calls write, which writes the whole answer to r, and then reads and drops
// the rest of r's body: at most 32 MB, for at most 10 s, and of at most 128
// requests at the same time. The connection ends afterwards.
//
// Bodies of HTTP/2 and short ones are left to net/http.
func (d *Discarder) Answer(w http.ResponseWriter, r *http.Request, write func()) {
	if r.ProtoMajor != 1 || r.ContentLength >= 0 && r.ContentLength <= finishedByHTTP {
		write()
		return
	}
	control := http.NewResponseController(w)
	w.Header().Set("Connection", "close")
	defer func() { _ = control.SetReadDeadline(time.Now()) }() // net/http would read on
	if d.running.Add(1) > discardsMost || control.EnableFullDuplex() != nil {
		d.running.Add(-1)
		write()
		return
	}
	defer d.running.Add(-1)
	write() // first, for clients that read while they send
	if control.Flush() != nil || control.SetReadDeadline(time.Now().Add(discardTime)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, r.Body, discardBodyMax) // however it ends, the connection does too
}
