// Package transport carries streams over connections, and bounds how many
// connections there are.
//
// A stream over cleartext HTTP/1.1 leaves net/http behind: [Poller.Serve] takes
// the socket over, and an idle one then owns no goroutine, buffer or timer. Over
// TLS and HTTP/2, and on systems other than Linux, the stream stays with net/http.
//
// The package knows nothing of keys, endpoints or what a stream is about.
package transport
