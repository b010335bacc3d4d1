package api

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// Handler returns the public API.
func (s *Server) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &answer{ResponseWriter: w, id: "req_" + rand.Text()[:16]}
		began := time.Now()
		h := w.Header()
		h.Set("X-Request-Id", answer.id)
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		bound(w, r)
		s.recoverPanics(answer, r)
		s.metrics.count(pathName(r), r.Method, answer.status)
		if s.Logger.Enabled(r.Context(), slog.LevelDebug) {
			s.Logger.Debug("request", "request_id", answer.id, "method", r.Method, "path", pathName(r),
				"parameters", s.parameterNames(r.URL.RawQuery), "status", answer.status, "took", time.Since(began))
		}
	})
}

// bound keeps a request's body within its time, whoever reads it: net/http reads
// the rest of a body that a handler has left, and would wait for it for ever.
func bound(w http.ResponseWriter, r *http.Request) {
	if r.Body != http.NoBody {
		// Where no deadline can be set, as in some tests, there is none.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	}
	if r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
		// A length beside it may have meant another end of this request to a
		// proxy (RFC 9112, 6.1), and net/http does not tell whether there was one.
		w.Header().Set("Connection", "close")
	}
}

// recoverPanics answers a request, even if its handler panics.
func (s *Server) recoverPanics(w *answer, r *http.Request) {
	defer func() {
		switch cause := recover(); {
		case cause == nil:
		case cause == http.ErrAbortHandler:
			panic(cause)
		default:
			s.refuse(w, r, fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
		}
	}()
	s.dispatch(w, r)
}

// refuse answers a request with a problem. It is the one place that decides
// what a client learns of an error, and what the operator does.
func (s *Server) refuse(w *answer, r *http.Request, err error) {
	var own *Problem
	if r.Context().Err() != nil && !errors.As(err, &own) && w.status == 0 {
		// The client left, and nothing failed; or it closed its own side alone,
		// and then an empty 200 would look like success: break it off.
		s.metrics.count(pathName(r), r.Method, statusLeft)
		panic(http.ErrAbortHandler)
	}
	p := problemOf(err)
	if p == nil {
		p = problem("internal-error", "Try again later. If it happens again, tell us the request_id.")
	}
	if p.Status >= 500 && !errors.As(err, &own) {
		s.report(w.id, r, p, err)
	}
	if w.status == 0 {
		p = s.chargeRefusal(w, r, p)
	}
	if w.status != 0 {
		panic(http.ErrAbortHandler) // too late for an answer: break it off visibly
	}
	write := func() { writeProblem(w, r, w.id, p) }
	switch {
	case p.Name != "origin-not-allowed" && wantsStream(r):
		writeStreamProblem(w, r, w.id, p)
	case p.Status == http.StatusRequestTimeout: // the body has had its time
		write()
	default:
		s.refused.Answer(w, r, write)
	}
}

// statusLeft stands in metrics for requests whose client did not wait.
const statusLeft = 499

// outageQuiet is the time between two lines about requests that are refused
// because something is away: when it is, there are thousands a second.
const outageQuiet = 5 * time.Second

// report tells the operator of a failed request.
func (s *Server) report(id string, r *http.Request, p *Problem, err error) {
	if p.Status == http.StatusServiceUnavailable {
		now, last := time.Now().UnixNano(), s.outage.Load()
		if now-last < int64(outageQuiet) || !s.outage.CompareAndSwap(last, now) {
			return
		}
	}
	s.Logger.Error("request failed", "request_id", id, "path", pathName(r), "problem", p.Name, "error", err)
}

// An answer is a response that knows its request's id and what became of it.
type answer struct {
	http.ResponseWriter
	id      string
	status  int     // 0 before the head is written
	caller  *caller // who asks; nil before that is known
	charged bool    // the caller's limits know of the request
}

// WriteHeader implements [http.ResponseWriter].
func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap is for [http.ResponseController].
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// pathName returns the path of a request as it may be logged. A path that no
// endpoint has may contain a secret.
func pathName(r *http.Request) string {
	if r.Pattern == "" || r.Pattern == "/" {
		return "other"
	}
	return r.Pattern
}

// parameterNames returns the names of a query's known parameters. Values may be
// secret, and so may be an unknown name.
func (s *Server) parameterNames(raw string) []string {
	var names []string
	for part := range strings.SplitSeq(raw, "&") {
		if name, _, _ := strings.Cut(part, "="); s.contract.known[name] {
			names = append(names, name)
		}
	}
	return names
}
