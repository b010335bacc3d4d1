//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

const answerLimit = 30 * time.Second

// Media types that events are published in.
const (
	oneEvent    = "application/cloudevents+json"
	eventsBatch = "application/cloudevents-batch+json"
)

// A publisher is one keep-alive connection that waits for each answer.
type publisher struct {
	server *server
	key    string
	conn   net.Conn
	in     *bufio.Reader
	out    []byte
}

func (s *server) dialPublisher() (*publisher, error) {
	conn, err := net.DialTimeout("tcp", s.addr, answerLimit)
	if err != nil {
		return nil, err
	}
	return &publisher{server: s, key: s.publisher, conn: conn, in: bufio.NewReader(conn)}, nil
}

func (p *publisher) close() { p.conn.Close() }

// errQuota says that the server takes no more now: the publisher is over its limit.
var errQuota = errors.New("publish: over the limit")

// post publishes body and returns the answer, which says that all of it was
// accepted.
func (p *publisher) post(mediaType string, body []byte) ([]byte, error) {
	p.out = append(p.out[:0], "POST /v1/events HTTP/1.1\r\nHost: "+p.server.addr+"\r\nAuthorization: Bearer "+p.key+"\r\nContent-Type: "+mediaType+"\r\nContent-Length: "...)
	p.out = strconv.AppendInt(p.out, int64(len(body)), 10)
	p.out = append(p.out, "\r\n\r\n"...)
	p.out = append(p.out, body...)
	if err := p.conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return nil, err
	}
	if _, err := p.conn.Write(p.out); err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	response, err := http.ReadResponse(p.in, nil)
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	if response.StatusCode == http.StatusTooManyRequests {
		return nil, errQuota
	}
	accepted := response.StatusCode == http.StatusCreated ||
		mediaType == eventsBatch && response.StatusCode == http.StatusOK
	if !accepted {
		return nil, fmt.Errorf("publish: %s: %.500s", response.Status, answer)
	}
	return answer, nil
}
