package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/paylogic/pushserver"
	"github.com/paylogic/pushserver/api/catalog"
	"github.com/paylogic/pushserver/api/describe"
	"github.com/paylogic/pushserver/api/transport"
	"github.com/paylogic/pushserver/api/web"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/eventlog"
)

// Config is what a [Server] serves. Log, Hub, Keyring and Store are needed.
type Config struct {
	Log     eventlog.Log
	Hub     *streams.Hub // of Log
	Keyring *auth.Keyring
	Store   auth.Store   // of the keyring's keys, which admins change
	Tokens  *auth.Tokens // mints and reads browser tokens; nil: there are none
	Logger  *slog.Logger // slog.Default() if nil

	Limiter Limiter       // nil: one in memory
	Limits  policy.Limits // of keys that have none of their own; the zero value: ratelimit.Defaults
	// Unlimited lets every key do as much as it wants, whatever its own limits
	// say. Limiter still limits what comes without a key, and keeps the leases of open
	// streams, of which it hears soon after they have begun.
	Unlimited bool
	// Demo is the key of the demo pages (demo.Key); nil: no demo.
	Demo *auth.Key
	// Channels are those of the predecessor that go on.
	Channels []Channel
	// Trusted are proxies that say truly, in X-Forwarded-For, who their clients are.
	Trusted []netip.Prefix

	Version string // of the program, for /metrics

	// Catalog has the types of events that are described, and to whose schemas
	// events are held. Nil: there are none.
	Catalog *catalog.Catalog
	// RejectUnknown refuses events of types that Catalog does not have.
	RejectUnknown bool
	// StateTypes are patterns of further types that are stateful, beside those
	// that Catalog says are: of each subject only the newest event counts.
	StateTypes []string
}

// A Server answers the public API and the operators' endpoints.
type Server struct {
	Config // with its defaults filled in

	filters   filterCache
	addresses *ratelimit.Addresses
	leases    *leaseQueue

	connections *connections
	poller      *transport.Poller
	refused     transport.Discarder
	metrics     *metrics
	composer    *describe.Composer
	contract    contract
	site        *web.Site
	demo        *demoPages // nil: no demo
	routes      *http.ServeMux
	stop        context.CancelFunc // ends what runs in the background
	running     sync.WaitGroup
	outage      atomic.Int64 // when one was last reported, in Unix nanoseconds
}

// New returns a server. It fails if the description of the API cannot be read,
// does not go together with the catalogue, or the system gives it nothing to
// wait for connections with.
func New(c Config) (*Server, error) {
	s := &Server{
		Config:      c,
		addresses:   ratelimit.NewAddresses(ratelimit.AddressOptions{Trusted: c.Trusted}),
		connections: newConnections(),
	}
	if s.Logger == nil {
		s.Logger = slog.Default()
	}
	if s.Limiter == nil {
		s.Limiter = ratelimit.NewMemoryLimiter("")
	}
	if len(s.Limits) == 0 {
		s.Limits = policy.Defaults()
	}
	if c.Demo != nil {
		if s.Tokens == nil {
			return nil, errors.New("api: the demo needs tokens")
		}
		s.demo = newDemoPages(s, c.Demo)
	}
	s.leases = newLeaseQueue(s.Limiter)
	s.connections.server, s.connections.release = s, s.leases.end
	if s.Catalog == nil {
		s.Catalog = new(catalog.Catalog)
	}
	var err error
	if s.composer, err = describe.New(pushserver.OpenAPI, s.Catalog, !s.RejectUnknown); err != nil {
		return nil, err
	}
	if s.contract, err = readContract(); err != nil {
		return nil, err
	}
	if s.site, err = newSite(c.Demo != nil); err != nil {
		return nil, err
	}
	if s.poller, err = transport.NewPoller(); err != nil {
		return nil, fmt.Errorf("wait for connections: %w", err)
	}
	s.metrics = newMetrics(prometheus.NewRegistry(), c.Hub, s.Limiter, c.Version)
	s.routes = http.NewServeMux()
	for path, endpoint := range s.endpoints() {
		s.routes.Handle(path, s.route(endpoint))
	}
	s.routes.HandleFunc("/", s.answerPage)
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.running.Go(func() { s.watch(ctx) })
	s.running.Go(func() { s.renew(ctx) })
	s.running.Go(func() { s.followEnded(ctx) })
	s.running.Go(func() { s.leases.run(ctx) })
	return s, nil
}

// Close lets go of what New took. Streams are ended by their hub before.
func (s *Server) Close() error {
	s.stop()
	s.running.Wait()
	return s.poller.Close()
}

// endpoints are the public API: what each path does for each method. They are
// the paths of openapi.yaml.
func (s *Server) endpoints() map[string]endpoint {
	return map[string]endpoint{
		"/stream":       {http.MethodGet: s.channel},
		"/v1/stream":    {http.MethodGet: s.stream},
		"/v1/events":    {http.MethodGet: s.history, http.MethodPost: s.publish},
		"/v1/state":     {http.MethodGet: s.state},
		"/v1/me":        {http.MethodGet: s.me},
		"/v1/tokens":    {http.MethodPost: s.mint},
		"/v1/keys":      {http.MethodGet: s.listKeys, http.MethodPost: s.createKey},
		"/v1/audit":     {http.MethodGet: s.audit},
		"/openapi.yaml": {http.MethodGet: s.describeYAML},
		"/openapi.json": {http.MethodGet: s.describeJSON},

		"/v1/keys/{id}":          {http.MethodGet: s.showKey, http.MethodPatch: s.editKey, http.MethodDelete: s.revokeKey},
		"/v1/keys/{id}/rotate":   {http.MethodPost: s.rotateKey},
		"/v1/test/events":        {http.MethodPost: s.sendTestEvent},
		"/v1/explain":            {http.MethodPost: s.explain},
		"/v1/connections":        {http.MethodGet: s.myConnections},
		"/v1/connections/{id}":   {http.MethodDelete: s.endMyConnection},
		"/openapi-3.1.json":      {http.MethodGet: s.describe31},
		"/v1/event-types":        {http.MethodGet: s.eventTypes},
		"/v1/event-types/{type}": {http.MethodGet: s.eventType},
	}
}

// An endpoint is what one path does for each method. Its errors are answered
// as problems.
type endpoint map[string]func(http.ResponseWriter, *http.Request) error

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
