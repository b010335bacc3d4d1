//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/paylogic/pushserver/internal/redistest"
)

// A server is what is measured. All of them, the references too, get the same
// requests.
type server struct {
	addr      string
	pid       int
	publisher string // key
	limited   string // key of a publisher with the server's own limits; empty: there is none
	tenants   []tenant
	child     *child             // nil: not started here
	storage   *redistest.Cluster // ends with the server; nil: there is none, or others need it
	// another starts one more like this, with which it shares nothing but the
	// machine; nil: not possible.
	another func(context.Context) (*server, error)
	// unlimited starts one more over the same storage, without limits; nil: not
	// possible.
	unlimited func(context.Context) (*server, error)
}

// stop ends the server, if it was started here.
func (s *server) stop() {
	if s.child != nil {
		s.child.stop()
	}
	if s.storage != nil {
		s.storage.Close()
	}
}

// log is the end of what the server said, if it was started here.
func (s *server) log() string {
	if s.child == nil {
		return ""
	}
	return s.child.log.String()
}

// A tenant is a merchant and a key that receives its events.
type tenant struct{ merchant, key string }

// tenant returns the owner of the group.
func (s *server) tenant(group int) tenant { return s.tenants[group%len(s.tenants)] }

// streamRequest opens a stream of one group's events: with a key, and narrowed
// by type and subject, as a product would. A position resumes there.
func (s *server) streamRequest(group int, position string) []byte {
	b := append([]byte(nil), "GET /v1/stream?types=bench.*&subject=g/"...)
	b = strconv.AppendInt(b, int64(group), 10)
	b = append(b, " HTTP/1.1\r\nHost: "+s.addr+"\r\nAccept: text/event-stream\r\nAuthorization: Bearer "+s.tenant(group).key+"\r\n"...)
	if position != "" {
		b = append(b, "Last-Event-ID: "+position+"\r\n"...)
	}
	return append(b, "\r\n"...)
}

// noKey is what the references are asked with.
const noKey = "none"

// startReference runs one of this program's own servers, bare or textbook.
func startReference(ctx context.Context, name string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c, err := startChild(ctx, self, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &server{
		addr: strings.TrimSpace(string(c.first)), pid: c.pid(), publisher: noKey,
		tenants: []tenant{{"acme", "key_of_about_the_same_length_as_any_other"}}, child: c,
	}, nil
}
