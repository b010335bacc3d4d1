package eventlog

import (
	"cmp"
	"context"
	"crypto/tls"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/rediscluster"
)

//go:embed redis_append.lua
var appendSource string

//go:embed redis_read.lua
var readSource string

//go:embed redis_state.lua
var stateSource string

var (
	appendScript = redis.NewScript(appendSource)
	readScript   = redis.NewScript(readSource)
	stateScript  = redis.NewScript(stateSource)
)

// DefaultWaitTimeout is how long an append waits for a replica. 30 ms was too
// short for one append in ten on an idle machine.
const DefaultWaitTimeout = 500 * time.Millisecond

// How long a call keeps trying before it returns ErrUnavailable. Behind an
// append a client waits, and it can send again; a reader can only wait.
const (
	appendPatience = 1200 * time.Millisecond
	readPatience   = 2 * time.Second
)

// commandPool is the number of connections per node for everything but blocked
// reads.
const commandPool = 32

// RedisOptions of a [RedisLog].
type RedisOptions struct {
	Addrs    []string // host:port of a standalone Redis, or of some nodes of a cluster
	Username string
	Password Password
	TLS      *tls.Config // nil: no TLS

	Durability      Durability    // Replicated if empty; or BestEffort
	Retention       Retention     // zero: 24 h and 100,000 events
	DuplicateWindow time.Duration // 1 h if zero
	WaitTimeout     time.Duration // how long an append waits for a replica; 500 ms if zero
	Logger          *slog.Logger  // nil: slog.Default()
}

// A RedisLog is a [Log] in a Redis Cluster or a standalone Redis, 7.0 or newer.
//
// Any number of RedisLogs, on any machines, may use the same Redis. Their clocks
// should agree to within half the duplicate window. A larger difference lets
// duplicates through. It trims nothing: that is done by the clocks of Redis.
type RedisLog struct {
	client     *rediscluster.Client
	bells      *rediscluster.Client // blocked reads hold connections, so they have their own
	durability Durability
	retention  Retention
	window     time.Duration
	wait       time.Duration // for a replica; 0: appends do not wait
	logger     *slog.Logger
	now        func() time.Time
	closed     atomic.Bool
	stop       context.CancelFunc // ends the sweep
	running    sync.WaitGroup

	mu     sync.RWMutex      // guards the following
	shards map[string]*shard // by address, of every node that the client ever met
}

// OpenRedisLog connects to Redis and returns the log in it. It fails if Redis
// does not answer or holds logs of another layout.
func OpenRedisLog(ctx context.Context, o RedisOptions) (*RedisLog, error) {
	l := &RedisLog{
		durability: cmp.Or(o.Durability, Replicated),
		retention:  o.Retention.orDefault(),
		window:     cmp.Or(o.DuplicateWindow, DefaultDuplicateWindow),
		logger:     cmp.Or(o.Logger, slog.Default()),
		now:        time.Now,
		shards:     make(map[string]*shard),
	}
	switch l.durability {
	case Replicated:
		l.wait = cmp.Or(o.WaitTimeout, DefaultWaitTimeout)
	case BestEffort:
	default:
		return nil, fmt.Errorf("eventlog: durability in Redis is %q or %q, not %q", Replicated, BestEffort, o.Durability)
	}
	if err := l.connect(ctx, o); err != nil {
		return nil, err
	}
	background, stop := context.WithCancel(context.Background())
	l.stop = stop
	if err := l.settleLayout(ctx); err != nil {
		l.Close()
		return nil, err
	}
	l.running.Go(func() { l.sweep(background) })
	return l, nil
}

func (l *RedisLog) connect(ctx context.Context, o RedisOptions) (err error) {
	commands := o.client("pushserver", commandPool)
	commands.ReadTimeout = max(rediscluster.AnswerTimeout, l.wait+rediscluster.DialTimeout)
	if l.client, err = openClient(ctx, commands); err != nil {
		return err
	}
	if l.bells, err = openClient(ctx, o.client("pushserver-bells", partitions+8)); err != nil {
		l.client.Close()
		return err
	}
	l.client.OnNewNode(l.meet)
	return nil
}

func (o RedisOptions) client(name string, poolSize int) rediscluster.Options {
	return rediscluster.Options{
		Addrs: o.Addrs, Username: o.Username, Password: string(o.Password), TLS: o.TLS,
		Name: name, PoolSize: poolSize,
	}
}

func openClient(ctx context.Context, o rediscluster.Options) (*rediscluster.Client, error) {
	client, err := rediscluster.Open(ctx, o)
	if errors.Is(err, rediscluster.ErrUnreachable) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to Redis: %w", err)
	}
	return client, nil
}

// meet adds a shard for a node, or gives the node's shard its new client.
func (l *RedisLog) meet(node *redis.Client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	addr := node.Options().Addr
	if s := l.shards[addr]; s != nil {
		s.replace(node)
		return
	}
	l.shards[addr] = &shard{log: l, client: node}
}

// Client returns the client for other stores in the same Redis. The log closes
// it.
func (l *RedisLog) Client() *rediscluster.Client { return l.client }

// Durability implements [Log].
func (l *RedisLog) Durability() Durability { return l.durability }

// Close implements [Log].
func (l *RedisLog) Close() error {
	if l.closed.Swap(true) {
		return nil
	}
	l.stop()
	err := errors.Join(l.client.Close(), l.bells.Close())
	l.running.Wait()
	return err
}

// A Password prints as "[redacted]" in every format.
type Password string

const redacted = "[redacted]"

// Format implements [fmt.Formatter].
func (Password) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// LogValue implements [slog.LogValuer].
func (Password) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler].
func (Password) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// fault returns a Redis error as one of the log's, or the context's.
func fault(ctx context.Context, log string, err error) error {
	switch {
	case redis.HasErrorPrefix(err, "WRONGTYPE "), redis.HasErrorPrefix(err, "DAMAGED "): // DAMAGED is the append script's
		return fmt.Errorf("log %q: %w: %w", log, ErrDamaged, err)
	case ctx.Err() != nil:
		return fmt.Errorf("log %q: %w: %w", log, ErrUnavailable, context.Cause(ctx))
	}
	return fmt.Errorf("log %q: %w: %w", log, ErrUnavailable, rediscluster.WithoutAddress(err))
}

// refusal returns an error that the append script wrote into its reply.
func refusal(log, text string) error {
	return fmt.Errorf("log %q: %w: %s", log, ErrDamaged, strings.TrimPrefix(text, "ERR "))
}

// reload has both clients learn soon which node serves what.
func (l *RedisLog) reload() {
	l.client.Reload()
	l.bells.Reload()
}

// query calls ask until it succeeds, fails for good, or readPatience ends.
func (l *RedisLog) query(ctx context.Context, log string, ask func(context.Context) error) error {
	patient, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	err := l.client.Retry(patient, ask)
	if err == nil || errors.Is(err, redis.Nil) {
		return nil
	}
	return fault(ctx, log, err)
}
