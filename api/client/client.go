package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A Client talks to one server with one key. It is safe for concurrent use.
type Client struct {
	URL string // of the server: "https://push.example"
	Key string
	// HTTP makes the requests; nil: http.DefaultClient. It must not limit the
	// time of a response, because a stream is endless.
	HTTP *http.Client
}

// mostAnswer bounds an answer other than a stream, in bytes.
const mostAnswer = 64 << 20

// Do sends a request to a path of the API, such as "/v1/me", once. A body is sent
// as JSON, and an answer is read as JSON into what answer points to, unless either
// is nil. A refusal is a [*Problem].
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, body, answer any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return fmt.Errorf("client: %w", err)
		}
	}
	return c.send(ctx, method, path, query, text, answer)
}

func (c *Client) send(ctx context.Context, method, path string, query url.Values, body []byte, answer any) error {
	req, err := c.request(ctx, method, path, query, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return readProblem(resp)
	}
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, mostAnswer)).Decode(answer); err != nil {
		return fmt.Errorf("client: the answer cannot be read: %w", err)
	}
	return nil
}

func (c *Client) request(ctx context.Context, method, path string, query url.Values, body io.Reader) (*http.Request, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" {
		return nil, final(errors.New("client: URL must be like https://push.example"))
	}
	u = u.JoinPath(path)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, final(fmt.Errorf("client: %w", err))
	}
	if strings.ContainsFunc(c.Key, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return nil, final(errors.New("client: Key has characters that no key has"))
	}
	req.Header.Set("Authorization", "Bearer "+c.Key)
	return req, nil
}

// do sends a request. Its errors omit the address, which the caller knows.
func (c *Client) do(req *http.Request) (*http.Response, error) {
	h := c.HTTP
	if h == nil {
		h = http.DefaultClient
	}
	resp, err := h.Do(req)
	var e *url.Error
	if errors.As(err, &e) {
		return nil, fmt.Errorf("the server does not answer: %w", e.Err)
	}
	return resp, err
}

// An errFinal is an error that no retry can fix.
type errFinal struct{ error }

// Unwrap is for [errors.As].
func (e errFinal) Unwrap() error { return e.error }

func final(err error) error { return errFinal{err} }

// forGood reports whether a retry would fail in the same way.
func forGood(err error) bool {
	var f errFinal
	var p *Problem
	return errors.As(err, &f) || errors.As(err, &p) && !p.Passing()
}

// mostBackoff is the longest wait that the client chooses itself.
const mostBackoff = 30 * time.Second

// backoff returns the wait before the next attempt. It doubles from base with each
// failure, has a random part so that clients do not return together, and is never
// shorter than the server asks.
func backoff(failures int, base time.Duration, err error) time.Duration {
	wait := max(base, min(base<<min(failures, 16), mostBackoff)/2)
	wait += rand.N(wait/2 + 1)
	var p *Problem
	if errors.As(err, &p) && p.RetryAfter > 0 {
		return max(base, p.RetryAfter) + rand.N(base)
	}
	return wait
}

// pause waits, or returns ctx's error.
func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
