package streams

import "time"

// abortAfter is how long a write that waits may go on after its subscription was
// ended or got another filter.
const abortAfter = time.Second

// A Writer carries bytes to one client. There are two kinds: the hijacked
// HTTP/1.1 connection, given to [Subscription.Start], and the flushed response
// of HTTP/2, of TLS and of systems other than Linux, given to [Subscription.Serve].
type Writer interface {
	// Write sends a prefix of p, in order and at once, and returns its length.
	// It does not keep p. After an error the connection is useless.
	//
	// A writer given to Start never waits. If the client takes no more, Write
	// returns less than len(p) and a nil error, and the writer calls
	// [Subscription.Resume] when the client takes more. A writer given to Serve
	// waits for the client, within a limit of its own.
	Write(p []byte) (n int, err error)

	// Progress reports whether the client has taken anything since the last call,
	// including bytes that were written earlier: a slow client may need long
	// until there is room to write again. Only writers given to Start are asked.
	Progress() bool

	// Lost reports whether the client must be gone without having closed: its
	// machine does not even acknowledge what was sent. Heartbeats ask.
	Lost() bool

	// Abort makes a Write that waits return soon with an error, and every later
	// one. It may be called during Write, and more than once. Only writers given
	// to Serve are asked.
	Abort()

	// Close ends the connection after all that was written. It is called once,
	// after the last Write.
	Close() error
}

// abortLate aborts what a busy subscription is writing, if that takes too long:
// its client may not get more of it. The caller holds s.mu.
func abortLate(s *Subscription) {
	if s.notify == nil {
		return // its writer does not wait
	}
	time.AfterFunc(abortAfter, func() {
		s.mu.Lock()
		late := s.state == busy && (s.cause != nil || !s.commands.empty())
		s.mu.Unlock()
		if late {
			s.w.Abort()
		}
	})
}
