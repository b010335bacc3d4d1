package streams

// A Writer carries bytes to one client. There are two kinds: the hijacked
// HTTP/1.1 connection, given to [Subscription.Start], and the flushed response
// of HTTP/2 and TLS, given to [Subscription.Serve].
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

	// Close ends the connection after all that was written. It is called once,
	// after the last Write.
	Close() error
}
