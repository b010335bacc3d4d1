package client

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Problem says why the server refused a request (RFC 9457).
type Problem struct {
	Status    int    `json:"status"` // of HTTP
	Type      string `json:"type"`   // "/problems/quota-exceeded"; branch on this
	Title     string `json:"title"`
	Detail    string `json:"detail"` // what to do
	RequestID string `json:"request_id"`
	Places    []struct {
		Pointer   string `json:"pointer"` // into the body
		Parameter string `json:"parameter"`
		Header    string `json:"header"`
		Detail    string `json:"detail"`
	} `json:"errors"`
	// RetryAfter is the wait that the server asks for; 0 if it asks for none.
	RetryAfter time.Duration `json:"-"`
}

// Error implements error.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(cmp.Or(p.Title, fmt.Sprintf("the server answers %d %s", p.Status, http.StatusText(p.Status))))
	if p.Detail != "" {
		b.WriteString(": " + p.Detail)
	}
	for _, place := range p.Places {
		fmt.Fprintf(&b, "\n%s %s", cmp.Or(place.Pointer, place.Parameter, place.Header), place.Detail)
	}
	return b.String()
}

// Name returns the last part of the type: "quota-exceeded".
func (p *Problem) Name() string { return p.Type[strings.LastIndexByte(p.Type, '/')+1:] }

// Passing reports whether the same request may succeed later.
func (p *Problem) Passing() bool {
	switch p.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return p.Status >= 500
}

// readProblem returns the error of a response without success.
func readProblem(resp *http.Response) *Problem {
	p := new(Problem)
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // a truncated body is not a problem document
	if json.Unmarshal(body, p) != nil {
		p = new(Problem)
	}
	p.Status = resp.StatusCode
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		p.RetryAfter = time.Duration(min(seconds, 3600)) * time.Second
	}
	return p
}
