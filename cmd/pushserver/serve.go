package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/paylogic/pushserver/api"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

type serveCommand struct {
	Listen       string           `help:"Address for clients." placeholder:"HOST:PORT" default:"127.0.0.1:8080" env:"PUSHSERVER_LISTEN"`
	OpsListen    string           `help:"Address for health, readiness and metrics." placeholder:"HOST:PORT" default:"127.0.0.1:9090" env:"PUSHSERVER_OPS_LISTEN"`
	Redis        redisFlags       `embed:""`
	Data         string           `help:"Directory on this machine for events and keys, instead of Redis." placeholder:"DIR" env:"PUSHSERVER_DATA"`
	RetainAge    time.Duration    `help:"How long events are kept." default:"24h" env:"PUSHSERVER_RETAIN_AGE"`
	RetainEvents int              `help:"How many events are kept per merchant." default:"100000" env:"PUSHSERVER_RETAIN_EVENTS"`
	Heartbeat    time.Duration    `help:"Interval of heartbeats on a quiet stream." default:"15s" env:"PUSHSERVER_HEARTBEAT"`
	DupWindow    time.Duration    `help:"How long a repeated event is recognised." default:"1h" env:"PUSHSERVER_DUP_WINDOW"`
	StateTypes   []string         `help:"Types of which only the newest event per subject counts, such as seat.status." placeholder:"TYPE" env:"PUSHSERVER_STATE_TYPES"`
	MaxStreamAge time.Duration    `help:"Age at which a stream ends and its client reconnects, plus or minus a tenth; 0: never." default:"1h" env:"PUSHSERVER_MAX_STREAM_AGE"`
	Durability   string           `help:"What an accepted event survives: ${enum}." enum:"replicated,best-effort" default:"replicated" env:"PUSHSERVER_DURABILITY"`
	Catalog      catalogFlags     `embed:""`
	Limits       []string         `help:"Default limits, which a key may override one by one, such as streams=50,connects=60/m; unnamed limits keep their default (${limits}); off disables all." placeholder:"NAME=LIMIT" env:"PUSHSERVER_LIMITS"`
	Proxies      []string         `name:"trusted-proxies" help:"Networks of proxies whose X-Forwarded-For is trusted." placeholder:"CIDR" env:"PUSHSERVER_TRUSTED_PROXIES"`
	Guard        connectionLimits `embed:""`
	Legacy       []string         `name:"legacy-channels" help:"flask-sse channels to serve, at /stream?channel= and by PUBLISH in Redis. CHANNEL=MERCHANT is open to everyone; CHANNEL=MERCHANT:key needs a key of the merchant. CHANNEL may end with *." placeholder:"CHANNEL=MERCHANT" env:"PUSHSERVER_LEGACY_CHANNELS"`
	SecretFile   string           `name:"secret-file" help:"File with the secrets for browser tokens, one per line: the first signs, all verify. The variable PUSHSERVER_SECRET can hold them instead." placeholder:"FILE" env:"PUSHSERVER_SECRET_FILE"`
	AdminKeyFile string           `name:"admin-key-file" help:"File with the first admin's key, for a store without admin keys. Without this flag, one is made and shown." placeholder:"FILE" env:"PUSHSERVER_ADMIN_KEY_FILE"`
	Demo         bool             `help:"Serve the demo pages /demo/tickets and /demo/seats, where anyone can click. With Redis this needs --secret-file." env:"PUSHSERVER_DEMO"`
	TLSCert      string           `name:"tls-cert" help:"File with the certificate chain." placeholder:"FILE" env:"PUSHSERVER_TLS_CERT"`
	TLSKey       string           `name:"tls-key" help:"File with the certificate's key." placeholder:"FILE" env:"PUSHSERVER_TLS_KEY"`
}

// Validate is called by kong after parsing.
func (s *serveCommand) Validate() error {
	switch {
	case s.Data != "" && len(s.Redis.Redis) > 0:
		return errors.New("--data and --redis exclude each other: keep events in a directory on this machine, or in Redis")
	case s.RetainAge <= 0:
		return errors.New("--retain-age must be more than 0")
	case s.RetainEvents <= 0:
		return errors.New("--retain-events must be more than 0")
	case s.DupWindow < time.Minute:
		return errors.New("--dup-window must be 1m or more: a gateway that takes over the inbox may repeat what the last one appended")
	case s.MaxStreamAge < 0:
		return errors.New("--max-stream-age must be 0 or more")
	case s.Heartbeat < time.Second:
		return errors.New("--heartbeat must be 1s or more")
	case (s.TLSCert == "") != (s.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key go together")
	}
	return nil
}

// Run serves until ctx is done.
func (s *serveCommand) Run(ctx context.Context, c *console) error {
	logger := slog.New(slog.NewTextHandler(c.err, nil))
	if s.TLSCert != "" {
		if _, err := auth.ReadSecretFile(s.TLSKey); err != nil {
			return fmt.Errorf("--tls-key: %w", err)
		}
		if _, err := tls.LoadX509KeyPair(s.TLSCert, s.TLSKey); err != nil {
			return fmt.Errorf("--tls-cert, --tls-key: %w", err)
		}
	}
	options, err := s.Redis.options(logger)
	if err != nil {
		return err
	}
	config, err := s.config()
	if err != nil {
		return err
	}
	if config.Unlimited {
		logger.Warn("no key has limits: one key can use up all capacity")
	}
	options.Durability = eventlog.Durability(s.Durability)
	options.Retention = eventlog.Retention{Age: s.RetainAge, Events: s.RetainEvents}
	options.DuplicateWindow = s.DupWindow
	if err := checkStateTypes(s.StateTypes); err != nil {
		return err
	}

	admin, err := readAdminKey(s.AdminKeyFile)
	if err != nil {
		return fmt.Errorf("--admin-key-file: %w", err)
	}
	if config.Catalog, config.RejectUnknown, err = s.Catalog.load(); err != nil {
		return err
	}
	if config.Tokens, err = s.signing(logger); err != nil {
		return err
	}
	if s.Demo && config.Tokens == nil {
		return errors.New("--demo needs --secret-file, because its pages use tokens")
	}

	g, err := newGateway(s.OpsListen, logger)
	if err != nil {
		return err
	}
	defer g.close()
	if len(s.Redis.Redis) == 0 {
		return s.serveEmbedded(ctx, c, g, options, config, admin)
	}
	return s.serveRedis(ctx, c, g, options, config, admin)
}

// serveRedis serves over Redis, once it answers.
func (s *serveCommand) serveRedis(ctx context.Context, c *console, g *gateway, options eventlog.RedisOptions, config api.Config, admin auth.Secret) error {
	log, err := awaitRedis(ctx, options, g.logger)
	switch {
	case ctx.Err() != nil:
		return nil // nothing has started yet
	case err != nil:
		return err
	}
	if err := log.Check(ctx); err != nil {
		g.logger.Warn("accepted events are not as safe as configured", "durability", s.Durability, "reason", err)
	}
	config.Log = log
	config.Store = auth.NewRedisStore(log.Client(), auth.RedisOptions{Replicated: options.Durability == eventlog.Replicated})
	config.Limiter = ratelimit.NewRedisLimiter(log.Client(), ratelimit.RedisOptions{Logger: g.logger})
	if err := s.open(g, config); err != nil {
		return err
	}
	if err := beginAdministration(ctx, c, g.logger, config.Store, admin); err != nil {
		return err
	}
	return g.wait(ctx)
}

// signing returns the browser tokens, or nil without a secret:
// all gateways before one Redis need the same one. An embedded server makes one.
func (s *serveCommand) signing(logger *slog.Logger) (*auth.Tokens, error) {
	var secrets []auth.SigningSecret
	var err error
	text := os.Getenv("PUSHSERVER_SECRET")
	switch {
	case s.SecretFile != "" && text != "":
		return nil, errors.New("--secret-file and PUSHSERVER_SECRET exclude each other")
	case s.SecretFile != "":
		if secrets, err = auth.LoadSigningSecrets(s.SecretFile); err != nil {
			return nil, fmt.Errorf("--secret-file: %w", err)
		}
	case text != "":
		if secrets, err = auth.ParseSigningSecrets(text); err != nil {
			return nil, fmt.Errorf("PUSHSERVER_SECRET: %w", err)
		}
	case len(s.Redis.Redis) > 0:
		logger.Warn("browser tokens are disabled: set --secret-file to enable them")
		return nil, nil
	default:
		logger.Warn("browser tokens end with this process: set --secret-file to keep them valid")
		secrets = []auth.SigningSecret{auth.NewSigningSecret()}
	}
	return auth.NewTokens(auth.TokenOptions{Secrets: secrets})
}

func (s *serveCommand) open(g *gateway, config api.Config) error {
	l := clientListener{address: s.Listen, cert: s.TLSCert, key: s.TLSKey, limits: s.Guard}
	return g.open(l, streams.Options{Heartbeat: s.Heartbeat, MaxAge: s.MaxStreamAge}, config, s.Demo)
}

// config returns what the flags say of the API. Its errors name the flag to fix.
func (s *serveCommand) config() (api.Config, error) {
	c := api.Config{StateTypes: s.StateTypes}
	if c.Unlimited = slices.Equal(s.Limits, []string{"off"}); !c.Unlimited {
		own, err := parseLimits(s.Limits)
		if err != nil {
			return c, fmt.Errorf("%w (or --limits off for no limits)", err)
		}
		c.Limits = policy.Defaults().With(own...)
	}
	for _, text := range s.Legacy {
		channel, err := api.ParseChannel(text)
		if err != nil {
			return c, fmt.Errorf("--legacy-channels %w", err)
		}
		c.Channels = append(c.Channels, channel)
	}
	for _, text := range s.Proxies {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, notOne := netip.ParseAddr(text)
			if notOne != nil {
				return c, fmt.Errorf("--trusted-proxies %q: must be a network, such as 10.0.0.0/8, or an address", text)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		c.Trusted = append(c.Trusted, prefix)
	}
	return c, nil
}

// checkStateTypes refuses invalid type patterns, so that a typo does not
// leave a type without its state.
func checkStateTypes(patterns []string) error {
	if _, err := filter.Compile(filter.Clause{Types: patterns}); err != nil {
		var clause *filter.Error
		if errors.As(err, &clause) {
			return fmt.Errorf("--state-types: %s", clause.Reason)
		}
		return err
	}
	return nil
}

// awaitRedis tries until Redis answers. Its errors are ctx's, and those that
// a retry does not fix: a wrong password, or logs in another layout.
func awaitRedis(ctx context.Context, o eventlog.RedisOptions, logger *slog.Logger) (*eventlog.RedisLog, error) {
	const most = 5 * time.Second
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, most) {
		log, err := eventlog.OpenRedisLog(ctx, o)
		if err == nil {
			return log, nil
		}
		if ctx.Err() != nil || !errors.Is(err, eventlog.ErrUnavailable) {
			return nil, err
		}
		logger.Warn("waiting for Redis", "reason", reason(err), "again_in", wait)
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// reason returns err for the log. A failed connection loses its address, which
// does not belong there.
func reason(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
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
