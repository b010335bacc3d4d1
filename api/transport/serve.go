package transport

import (
	"bytes"
	"net/http"
	"time"

	"github.com/paylogic/pushserver/streams"
)

// Serve answers with status 200, the header that w has, preface and then the
// stream that sub is. It calls onClose once, when the connection no longer
// carries the stream; nil means that no caller needs to know.
//
// Serve returns at once if it could take the connection over, else when the
// stream has ended.
func (p *Poller) Serve(w http.ResponseWriter, r *http.Request, sub *streams.Subscription, preface []byte, onClose func()) {
	if onClose == nil {
		onClose = func() {}
	}
	if p.hijack(w, r, sub, preface, onClose) {
		return
	}
	defer onClose()
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(preface)                                                            // the next write fails too
	_ = sub.Serve(r.Context(), &flushed{w: w, control: http.NewResponseController(w)}) // the answer is over, for any cause
}

// head returns the head of a response that ends with its connection.
func head(h http.Header) []byte {
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 200 OK\r\nDate: ")
	b.WriteString(time.Now().UTC().Format(http.TimeFormat))
	b.WriteString("\r\nConnection: close\r\n")
	_ = h.Write(&b) // a buffer never fails
	b.WriteString("\r\n")
	return b.Bytes()
}
