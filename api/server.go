package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
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
	Limits  policy.Limits // of keys that have none of their own; the zero value: policy.Defaults
	// Unlimited disables the limits of all keys. Limiter still limits requests
	// without a key, and keeps the leases of open streams, which are reported to it
	// shortly after a stream opens.
	Unlimited bool
	// Demo is the key of the demo pages (demo.Key); nil: no demo.
	Demo *auth.Key
	// Channels are the flask-sse channels to serve.
	Channels []Channel
	// Trusted are the proxies whose X-Forwarded-For is trusted.
	Trusted []netip.Prefix

	Version string // of the program, for /metrics

	// Catalog describes event types. An event must match the schema of its type.
	// Nil: no type is described.
	Catalog *catalog.Catalog
	// RejectUnknown refuses events of types that Catalog does not have.
	RejectUnknown bool
	// StateTypes are patterns of stateful types, in addition to those of Catalog. Of
	// such a type only the newest event per subject counts.
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

// New returns a server. It fails if openapi.yaml cannot be read or does not fit the
// catalogue, or if the system has no descriptor left.
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

// Close ends the server's background work. Close the hub first, which ends the
// streams.
func (s *Server) Close() error {
	s.stop()
	s.running.Wait()
	return s.poller.Close()
}

// endpoints are the public API. Their paths and methods are those of openapi.yaml.
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

// Bounds of a request, for [NewHTTPServer].
const (
	headerTimeout  = 5 * time.Second
	headerMax      = 16 << 10
	streamsPerConn = 100 // of HTTP/2

	// The server pings an HTTP/2 connection from which nothing came for pingAfter.
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
