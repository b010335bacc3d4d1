package eventlog

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// DefaultWaitTimeout is how long an append waits for a replica. 30 ms was too
// short for one in ten on an idle machine.
const DefaultWaitTimeout = 500 * time.Millisecond

// How long a call tries before it answers with ErrUnavailable. An append's
// caller has a client waiting, who can send again; a reader can only wait.
const (
	appendPatience = 1200 * time.Millisecond
	readPatience   = 2 * time.Second
)

// How long a connection, and an answer on it, may take. Every call of ours has a
// deadline, too; these end what the client does by itself, as when it asks a
// frozen node who serves what.
const (
	dialTimeout   = 500 * time.Millisecond
	answerTimeout = time.Second
)

// bufferSize is in bytes, for reading and for writing each connection. What is
// longer is read in several pieces, which costs nothing that can be measured. The
// client's own choice, 128 KiB each way for pipelines, was most of what a gateway
// grew by when it could not reach Redis.
const bufferSize = 16 << 10

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

// A RedisLog is a [Log] in a Redis Cluster, or in a standalone Redis: what is
// behind the addresses decides. Redis 7.0 or newer.
//
// Any number of RedisLogs, on any machines, may use the same Redis. Their
// clocks should agree to within half the duplicate window: beyond that,
// duplicates may be missed, and nothing else.
type RedisLog struct {
	client     redis.UniversalClient
	bells      redis.UniversalClient // blocked reads hold connections, so they have their own
	cluster    *redis.ClusterClient  // client, if it is one
	durability Durability
	retention  Retention
	window     time.Duration
	wait       time.Duration
	logger     *slog.Logger
	now        func() time.Time
	closed     atomic.Bool
	stop       context.CancelFunc // ends what runs in the background
	running    sync.WaitGroup

	mu     sync.RWMutex      // guards the following
	shards map[string]*shard // by address of a node, for all the cluster client ever met
	direct *shard            // of a standalone Redis
}

// OpenRedisLog connects to Redis and returns the log in it. It fails if Redis
// does not answer, or holds logs that were laid out differently.
func OpenRedisLog(ctx context.Context, o RedisOptions) (*RedisLog, error) {
	l := &RedisLog{
		durability: cmp.Or(o.Durability, Replicated),
		retention:  o.Retention.orDefault(),
		window:     cmp.Or(o.DuplicateWindow, DefaultDuplicateWindow),
		wait:       cmp.Or(o.WaitTimeout, DefaultWaitTimeout),
		logger:     cmp.Or(o.Logger, slog.Default()),
		now:        time.Now,
		shards:     make(map[string]*shard),
	}
	if l.durability != Replicated && l.durability != BestEffort {
		return nil, fmt.Errorf("streams: a log in Redis is %q or %q, not %q", Replicated, BestEffort, o.Durability)
	}
	clustered, err := isCluster(ctx, o)
	if err != nil {
		return nil, err
	}
	l.connect(o, clustered)
	background, stop := context.WithCancel(context.Background())
	l.stop = stop
	if err := l.settleLayout(ctx); err != nil {
		l.Close()
		return nil, err
	}
	l.running.Go(func() { l.sweep(background) })
	return l, nil
}

// isCluster asks the first address that answers.
func isCluster(ctx context.Context, o RedisOptions) (bool, error) {
	failed := []error{ErrUnavailable}
	for _, addr := range o.Addrs {
		single := o.clusterOptions("pushserver", 1)
		single.Addrs = []string{addr}
		c := redis.NewClient(nodeOptions(single))
		info, err := c.InfoMap(ctx, "cluster").Result()
		c.Close()
		if err == nil {
			return info["Cluster"]["cluster_enabled"] == "1", nil
		}
		if isReply(err) && !redis.HasErrorPrefix(err, "LOADING ") {
			return false, fmt.Errorf("connect to Redis: %w", err) // a wrong password stays wrong
		}
		failed = append(failed, err)
	}
	if len(o.Addrs) == 0 {
		return false, errors.New("streams: no address of a Redis was given")
	}
	return false, fmt.Errorf("connect to Redis: %w", errors.Join(failed...))
}

// connect makes both clients.
func (l *RedisLog) connect(o RedisOptions, clustered bool) {
	commands := o.clusterOptions("pushserver", 32)
	commands.ReadTimeout = max(answerTimeout, l.wait+dialTimeout)
	bells := o.clusterOptions("pushserver-bells", partitions+8)
	if !clustered {
		client := redis.NewClient(nodeOptions(commands))
		l.client, l.direct = client, l.newShard(client)
		l.bells = redis.NewClient(nodeOptions(bells))
		return
	}
	l.cluster = redis.NewClusterClient(commands)
	l.cluster.OnNewNode(l.meet)
	l.client = l.cluster
	l.bells = redis.NewClusterClient(bells)
}

// meet notes a node that the cluster client has got a client for.
func (l *RedisLog) meet(node *redis.Client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	addr := node.Options().Addr
	if s := l.shards[addr]; s != nil {
		s.replace(node)
		return
	}
	l.shards[addr] = l.newShard(node)
}

// clusterOptions are what was measured to come back 0.2 s after Redis does.
// Retries are ours, because ours carry the event's id.
func (o RedisOptions) clusterOptions(name string, pool int) *redis.ClusterOptions {
	return &redis.ClusterOptions{
		Addrs:      o.Addrs,
		ClientName: name,
		Username:   o.Username,
		Password:   string(o.Password),
		TLSConfig:  o.TLS,
		Protocol:   2, // nothing here uses what 3 adds, and 3 looks for pushed messages around each command

		PoolSize:                   pool,
		ReadBufferSize:             bufferSize,
		WriteBufferSize:            bufferSize,
		PipelinePoolSize:           -1, // none of their own
		DialTimeout:                dialTimeout,
		DialerRetries:              1,
		MaxRetries:                 -1,
		MaxRedirects:               2,
		ContextTimeoutEnabled:      true,
		ReadTimeout:                answerTimeout,
		WriteTimeout:               answerTimeout,
		ClusterStateReloadInterval: time.Second,
		DisableRoutingPolicies:     true, // they ask for the table of commands before the first of each kind
		DisableIdentity:            true,
		MaintNotificationsConfig:   &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// nodeOptions are the same for a standalone Redis.
func nodeOptions(o *redis.ClusterOptions) *redis.Options {
	return &redis.Options{
		Addr:       o.Addrs[0],
		ClientName: o.ClientName,
		Username:   o.Username,
		Password:   o.Password,
		TLSConfig:  o.TLSConfig,
		Protocol:   o.Protocol,

		PoolSize:                 o.PoolSize,
		ReadBufferSize:           o.ReadBufferSize,
		WriteBufferSize:          o.WriteBufferSize,
		PipelinePoolSize:         o.PipelinePoolSize,
		DialTimeout:              o.DialTimeout,
		DialerRetries:            o.DialerRetries,
		MaxRetries:               o.MaxRetries,
		ContextTimeoutEnabled:    o.ContextTimeoutEnabled,
		ReadTimeout:              o.ReadTimeout,
		WriteTimeout:             o.WriteTimeout,
		DisableIdentity:          o.DisableIdentity,
		MaintNotificationsConfig: o.MaintNotificationsConfig,
	}
}

// Client returns the client that the log sends its commands with, for others
// who keep something in the same Redis. It is closed with the log.
func (l *RedisLog) Client() redis.UniversalClient { return l.client }

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

// A Password prints as "[redacted]", whatever prints it.
type Password string

const redacted = "[redacted]"

// Format implements [fmt.Formatter].
func (Password) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// LogValue implements [slog.LogValuer].
func (Password) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler].
func (Password) MarshalText() ([]byte, error) { return []byte(redacted), nil }
