package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams"
)

// Config is what a [Server] serves. Log, Hub and Keyring are needed.
type Config struct {
	Log     streams.Log
	Hub     *streams.Hub // of Log
	Keyring *auth.Keyring
	Logger  *slog.Logger // slog.Default() if nil
	Version string       // of the program, for /metrics

	// StateTypes are patterns of the event types that are state-like: of each
	// subject only the newest event counts. Empty: none.
	StateTypes []string
}

// A Server answers the public API and the operators' endpoints.
type Server struct {
	log      streams.Log
	hub      *streams.Hub
	keyring  *auth.Keyring
	logger   *slog.Logger
	states   []string // patterns of state-like types
	filters  filterCache
	poller   *poller
	metrics  *metrics
	document description
	contract contract
	routes   *http.ServeMux
	outage   atomic.Int64 // when one was last reported, in Unix nanoseconds
}

// New returns a server. It fails if the description of the API cannot be read,
// or the system gives it nothing to wait for connections with.
func New(c Config) (*Server, error) {
	s := &Server{log: c.Log, hub: c.Hub, keyring: c.Keyring, logger: c.Logger, states: c.StateTypes}
	if s.logger == nil {
		s.logger = slog.Default()
	}
	var err error
	if s.document, err = readDescription(); err != nil {
		return nil, err
	}
	if s.contract, err = readContract(); err != nil {
		return nil, err
	}
	if s.poller, err = newPoller(); err != nil {
		return nil, fmt.Errorf("wait for connections: %w", err)
	}
	s.metrics = newMetrics(prometheus.NewRegistry(), c.Hub, c.Version)
	s.routes = http.NewServeMux()
	for path, endpoint := range s.endpoints() {
		s.routes.Handle(path, endpoint)
	}
	return s, nil
}

// Close lets go of what New took. Streams are ended by their hub before.
func (s *Server) Close() error { return s.poller.Close() }

// endpoints are the public API: what each path does for each method. They are
// the paths of openapi.yaml.
func (s *Server) endpoints() map[string]endpoint {
	return map[string]endpoint{
		"/v1/stream":    {http.MethodGet: s.stream},
		"/v1/events":    {http.MethodGet: s.history, http.MethodPost: s.publish},
		"/v1/state":     {http.MethodGet: s.state},
		"/v1/me":        {http.MethodGet: s.me},
		"/openapi.yaml": {http.MethodGet: s.describeYAML},
		"/openapi.json": {http.MethodGet: s.describeJSON},
	}
}

// An endpoint is what one path does for each method. Its errors are answered
// as problems.
type endpoint map[string]func(http.ResponseWriter, *http.Request) error

// ServeHTTP is there for http.ServeMux, which only finds the endpoint.
func (endpoint) ServeHTTP(http.ResponseWriter, *http.Request) {
	panic("api: an endpoint was served without its server")
}

// methods returns what the endpoint allows, for the header Allow.
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

// serve answers a request or returns why not.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) error {
	if r.ProtoMajor != 1 && r.TLS == nil {
		return problem("malformed-request", "Speak version 1.1 of HTTP here: version 2 needs TLS.") // a preface of HTTP/2
	}
	handler, pattern := s.routes.Handler(r)
	endpoint, ok := handler.(endpoint)
	if !ok || pattern == "" || path.Clean(r.URL.Path) != r.URL.Path {
		return problem("not-found", "Check the path. /openapi.yaml describes what there is.")
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	switch handle := endpoint[method]; {
	case handle != nil:
		return handle(w, r)
	case r.Method == http.MethodOptions:
		w.Header().Set("Allow", endpoint.methods())
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return problem("method-not-allowed", "Use one of the methods in the header Allow.").
		header("Allow", endpoint.methods())
}

// Bounds of a request, for [NewHTTPServer].
const (
	headerTimeout  = 5 * time.Second
	headerMax      = 16 << 10
	streamsPerConn = 100 // of HTTP/2

	// A connection of HTTP/2 on which nothing comes in for pingAfter is asked
	// whether there is still somebody.
	pingAfter   = 20 * time.Second
	pingTimeout = 15 * time.Second
)

// NewHTTPServer returns a server for h with the bounds of the public API.
func NewHTTPServer(h http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       90 * time.Second,
		MaxHeaderBytes:    headerMax - 4096, // net/http adds as much
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: streamsPerConn,
			SendPingTimeout:      pingAfter,
			PingTimeout:          pingTimeout,
		},
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}
