package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// serverFlags say which server a client command talks to, and as whom.
type serverFlags struct {
	URL string `name:"url" help:"Where the server is." default:"http://127.0.0.1:8080" env:"PUSHSERVER_URL"`
	Key string `help:"API key." required:"" placeholder:"KEY" env:"PUSHSERVER_KEY"`
}

// endpoint returns the address of path on the server.
func (s *serverFlags) endpoint(path string, query url.Values) (string, error) {
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errors.New("--url must be like http://127.0.0.1:8080")
	}
	if s.Key == "" {
		return "", errors.New("--key is empty: give it a key, or set PUSHSERVER_KEY")
	}
	if strings.ContainsFunc(s.Key, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", errors.New("--key has characters that no key has")
	}
	u = u.JoinPath(path)
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// A refusal is a server's answer other than success.
type refusal struct {
	status int
	text   string        // for people
	wait   time.Duration // what Retry-After asks for; 0 if nothing
}

// Error implements error.
func (r *refusal) Error() string { return r.text }

// passing reports whether the same request may succeed later.
func (r *refusal) passing() bool {
	switch r.status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return r.status >= 500
}

// readRefusal returns what the response says, as a problem (RFC 9457) if it is
// one.
func readRefusal(resp *http.Response) *refusal {
	r := &refusal{status: resp.StatusCode, text: "the server answers " + resp.Status}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		r.wait = time.Duration(min(seconds, 3600)) * time.Second
	}
	var problem struct {
		Title, Detail string
		Errors        []struct{ Pointer, Parameter, Header, Detail string }
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what is cut off is no problem
	if json.Unmarshal(body, &problem) == nil && problem.Title != "" {
		r.text = problem.Title
		if problem.Detail != "" {
			r.text = fmt.Sprintf("%s: %s", problem.Title, problem.Detail)
		}
		for _, e := range problem.Errors {
			r.text += fmt.Sprintf("\n%s %s", cmp.Or(e.Pointer, e.Parameter, e.Header), e.Detail)
		}
	}
	return r
}

// backoff returns how long to wait before the next attempt after so many
// failed ones: from base on, doubling up to 30 s, a part of it by chance, and
// never less than the server asked for.
func backoff(failures int, base time.Duration, err error) time.Duration {
	const most = 30 * time.Second
	wait := max(base, min(base<<min(failures, 16), most)/2)
	wait += rand.N(wait/2 + 1)
	var r *refusal
	if errors.As(err, &r) && r.wait > 0 {
		return max(base, r.wait) + rand.N(base)
	}
	return wait
}

// plainly returns err without the request around it, whose address the user
// knows already.
func plainly(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return fmt.Errorf("the server does not answer: %w", e.Err)
	}
	return err
}
