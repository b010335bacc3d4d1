package api

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"slices"
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

// bound sets a deadline for the whole body. net/http reads the rest of a body that
// a handler left unread, and would otherwise wait forever.
func bound(w http.ResponseWriter, r *http.Request) {
	if r.Body != http.NoBody {
		// Some tests use a writer without deadlines.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	}
	if r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
		// If the request also had a Content-Length, a proxy may see another end of
		// it (RFC 9112, 6.1). net/http does not report whether it had one.
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

// refuse answers a request with a problem. Only refuse decides what the client and
// the operator learn of an error.
func (s *Server) refuse(w *answer, r *http.Request, err error) {
	var own *Problem
	if r.Context().Err() != nil && !errors.As(err, &own) && w.status == 0 {
		// The client left, and nothing failed. It may have closed only its own side;
		// an empty 200 would then look like success.
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
		panic(http.ErrAbortHandler) // too late for an answer: a broken connection shows the failure
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

// statusLeft counts requests in metrics whose client did not wait.
const statusLeft = 499

// outageQuiet is the time between two log lines about unavailable storage, which can
// refuse thousands of requests a second.
const outageQuiet = 5 * time.Second

// report logs a failed request.
func (s *Server) report(id string, r *http.Request, p *Problem, err error) {
	if p.Status == http.StatusServiceUnavailable {
		now, last := time.Now().UnixNano(), s.outage.Load()
		if now-last < int64(outageQuiet) || !s.outage.CompareAndSwap(last, now) {
			return
		}
	}
	s.Logger.Error("request failed", "request_id", id, "path", pathName(r), "problem", p.Name, "error", err)
}

// An answer is a response with its request's id, status and caller.
type answer struct {
	http.ResponseWriter
	id      string
	status  int     // 0 before the head is written
	caller  *caller // nil until it is known
	charged bool    // the request was charged to the caller's limits
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

// An endpoint has a handler for each method of one path. An error becomes a
// problem.
type endpoint map[string]func(http.ResponseWriter, *http.Request) error

// methods returns the value of the header Allow.
func (e endpoint) methods() string {
	methods := []string{http.MethodOptions}
	for method := range e {
		methods = append(methods, method)
		if method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

// dispatch answers a request by one look at the routes, which also sets its
// pattern.
func (s *Server) dispatch(w *answer, r *http.Request) {
	switch {
	case r.ProtoMajor != 1 && r.TLS == nil: // the preface of HTTP/2
		s.refuse(w, r, problem("malformed-request", "Use version 1.1 of HTTP here. HTTP/2 needs TLS."))
	case path.Clean(r.URL.Path) != r.URL.Path || !strings.HasPrefix(r.URL.Path, "/"):
		s.answerPage(w, r) // ServeMux would redirect
	default:
		s.routes.ServeHTTP(w, r)
	}
}

// route returns the handler of an endpoint, which answers its errors.
func (s *Server) route(e endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		var err error
		switch handle := e[method]; {
		case handle != nil:
			err = handle(w, r)
		case r.Method == http.MethodOptions:
			answerOptions(w, r, e)
		default:
			err = problem("method-not-allowed", "Use one of the methods in the header Allow.").header("Allow", e.methods())
		}
		if err != nil {
			s.refuse(w.(*answer), r, err)
		}
	})
}
