package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/paylogic/pushserver/api"
	"github.com/paylogic/pushserver/api/demo"
	"github.com/paylogic/pushserver/api/transport"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/eventlog"
)

const (
	// The clients of a draining gateway reconnect over drainLeast, or longer if
	// there are many: drainPace per second, but within drainMost.
	drainLeast = 2 * time.Second
	drainMost  = 30 * time.Second
	drainPace  = 1000
	// shutdownLimit is how long requests may take to finish at the end.
	shutdownLimit = 10 * time.Second
)

// A gateway is one server process: a log with its hub, the keys, and the two
// listeners. Its creator must call close.
type gateway struct {
	logger *slog.Logger
	public net.Listener // nil until open
	ops    net.Listener

	secure bool // public speaks TLS

	log    eventlog.Log
	store  auth.Store
	api    *api.Server
	stop   context.CancelFunc // ends what runs beside the listeners
	beside sync.WaitGroup
	hub    *streams.Hub
	server *http.Server

	opsServer  *http.Server
	opsHandler atomic.Pointer[http.Handler]
	failed     chan error // why a listener ended unexpectedly
}

// newGateway opens the ops listener, which answers: alive, and not ready.
func newGateway(opsListen string, logger *slog.Logger) (*gateway, error) {
	ops, err := bind(net.ListenConfig{}, opsListen, "--ops-listen")
	if err != nil {
		return nil, err
	}
	g := &gateway{logger: logger, ops: ops, failed: make(chan error, 2)}
	var starting http.Handler = http.HandlerFunc(answerStarting)
	g.opsHandler.Store(&starting)
	g.opsServer = api.NewHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*g.opsHandler.Load()).ServeHTTP(w, r)
	}), logger)
	go func() { g.failed <- g.opsServer.Serve(ops) }()
	logger.Info("listening", "for", "ops", "address", ops.Addr().String())
	return g, nil
}

// answerStarting is the ops listener's answer before there is a log.
func answerStarting(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if r.URL.Path == "/healthz" {
		fmt.Fprintln(w, "ok")
		return
	}
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
	fmt.Fprintln(w, "starting: waiting for storage")
}

// A clientListener says how a gateway listens for clients.
type clientListener struct {
	address   string
	cert, key string // files; empty: no TLS
	limits    connectionLimits
}

// open binds the public listener and serves config, whose Hub, Keyring, Logger and
// Version it sets, and the demo pages if wanted. The gateway owns and closes
// config's Log and Store, even if open fails.
func (g *gateway) open(l clientListener, o streams.Options, config api.Config, withDemo bool) error {
	g.log, g.store, g.secure = config.Log, config.Store, l.cert != ""
	o.Logger = g.logger
	g.hub = streams.NewHub(g.log, o)
	config.Hub, config.Logger, config.Version = g.hub, g.logger, buildVersion()
	config.Keyring = auth.NewKeyring(g.store, auth.KeyringOptions{})
	var err error
	if withDemo {
		if config.Demo, err = demo.Key(context.Background(), g.store); err != nil {
			return fmt.Errorf("--demo: %w", err)
		}
	}
	server, err := api.New(config)
	if err != nil {
		return err
	}
	g.api = server
	ctx, stop := context.WithCancel(context.Background())
	g.stop = stop
	g.beside.Go(func() { config.Keyring.RecordUse(ctx) })
	if redis, ok := g.log.(*eventlog.RedisLog); ok {
		g.beside.Go(func() { redis.Take(ctx, server.Intake()) })
	}
	public, err := bind(transport.ListenConfig(g.secure), l.address, "--listen")
	if err != nil {
		return err
	}
	if g.public, err = limitConnections(public, l.limits, config.Trusted, !g.secure); err != nil {
		public.Close()
		return err
	}
	g.server = api.NewHTTPServer(server.Handler(), g.logger)
	ready := server.OpsHandler()
	g.opsHandler.Store(&ready)
	go func() {
		if g.secure {
			g.failed <- g.server.ServeTLS(g.public, l.cert, l.key)
			return
		}
		g.failed <- g.server.Serve(g.public)
	}()
	g.logger.Info("listening", "for", "clients", "address", public.Addr().String(), "tls", g.secure)
	return nil
}

// wait returns when ctx is done, with nil, or when a listener has failed.
func (g *gateway) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		g.logger.Info("shutting down: clients are told when to reconnect")
		return nil
	case err := <-g.failed:
		return fmt.Errorf("serve: %w", err)
	}
}

// close shuts down in order: streams with a goodbye, requests with
// their answer, then log and keys. The ops listener goes last, so that
// monitoring sees the shutdown.
func (g *gateway) close() {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownLimit)
	defer cancel()
	if g.hub != nil {
		spread := time.Duration(g.hub.Stats().Subscriptions) * time.Second / drainPace
		g.hub.Drain(min(max(spread, drainLeast), drainMost))
	}
	if g.server != nil {
		if err := g.server.Shutdown(ctx); err != nil {
			g.logger.Warn("some requests did not finish in time", "limit", shutdownLimit)
			g.server.Close()
		}
	}
	if g.hub != nil {
		g.hub.Close()
	}
	if g.api != nil {
		g.stop()
		g.beside.Wait()
		if err := g.api.Close(); err != nil {
			g.logger.Warn("closing the API failed", "error", err)
		}
	}
	if g.log != nil {
		if err := g.log.Close(); err != nil {
			g.logger.Warn("closing the log failed", "error", err)
		}
	}
	if store, ok := g.store.(io.Closer); ok {
		if err := store.Close(); err != nil {
			g.logger.Warn("closing the key store failed", "error", err)
		}
	}
	g.opsServer.Close()
}

// url returns where clients on this machine reach the public listener.
func (g *gateway) url() string { return urlOf(g.public, g.secure) }

// opsURL returns where this machine reaches the ops listener.
func (g *gateway) opsURL() string { return urlOf(g.ops, false) }

func urlOf(l net.Listener, secure bool) string {
	address, err := reachable(l.Addr().String())
	if err != nil {
		address = l.Addr().String()
	}
	if secure {
		return "https://" + address
	}
	return "http://" + address
}

// bind listens on address, or says what to do with flag.
func bind(config net.ListenConfig, address, flag string) (net.Listener, error) {
	l, err := config.Listen(context.Background(), "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is taken by another program: choose an address with %s, such as %s 127.0.0.1:0", address, flag, flag)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", flag, address, err)
	}
	return l, nil
}
