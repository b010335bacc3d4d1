// Package rediscluster connects to a Redis Cluster, or to a standalone Redis.
//
// It holds what every store needs and none should decide for itself: the
// client's settings, calls of scripts, writes that a replica confirms, which
// errors are worth another try, and errors without addresses. Stores keep
// their keys and scripts.
package rediscluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	// DialTimeout is how long connecting to a node may take.
	DialTimeout = 500 * time.Millisecond
	// AnswerTimeout is how long a node may take to answer, unless Options say
	// otherwise. It also ends what the client does on its own, such as asking a
	// frozen node for the cluster's slots.
	AnswerTimeout = time.Second
)

// bufferSize is the size in bytes of each connection's read and write buffer.
// Longer answers are read in several pieces, at no measurable cost. The
// client's default, 128 KiB each way for pipelines, dominated the memory of a
// gateway that could not reach Redis.
const bufferSize = 16 << 10

// ErrUnreachable means that no address answered, or only nodes that were still
// loading their data.
var ErrUnreachable = errors.New("rediscluster: no address answers")

// Options of a [Client].
type Options struct {
	Addrs    []string // host:port of a standalone Redis, or of some nodes of a cluster
	Username string
	Password string
	TLS      *tls.Config // nil: no TLS

	Name        string        // of the connections, in CLIENT LIST
	PoolSize    int           // connections per node
	ReadTimeout time.Duration // AnswerTimeout if zero
}

// A Client sends commands to a cluster or to a standalone Redis. Each pool of
// connections is a Client of its own.
type Client struct {
	redis.UniversalClient
	cluster *redis.ClusterClient // one of
	node    *redis.Client        // the two
}

var setLogger sync.Once

// Open returns a client of the Redis behind the addresses, which decides
// whether it is a cluster. The first address that answers is asked. Redis's own
// refusals, such as of a password, are returned as they are.
func Open(ctx context.Context, o Options) (*Client, error) {
	if len(o.Addrs) == 0 {
		return nil, errors.New("rediscluster: no address given")
	}
	failed := []error{ErrUnreachable}
	for _, addr := range o.Addrs {
		single := o
		single.Addrs, single.PoolSize = []string{addr}, 1
		node := Dial(single)
		info, err := node.InfoMap(ctx, "cluster").Result()
		_ = node.Close()
		switch {
		case err == nil && info["Cluster"]["cluster_enabled"] == "1":
			cluster := redis.NewClusterClient(o.settings())
			return &Client{UniversalClient: cluster, cluster: cluster}, nil
		case err == nil:
			node := Dial(o)
			return &Client{UniversalClient: node, node: node}, nil
		case IsReply(err) && !IsTransient(err):
			return nil, err // a wrong password stays wrong
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

// Dial returns a client of the node at the first address. It connects when the
// first command is sent.
func Dial(o Options) *redis.Client {
	s := o.settings()
	return redis.NewClient(&redis.Options{
		Addr:       o.Addrs[0],
		ClientName: s.ClientName,
		Username:   s.Username,
		Password:   s.Password,
		TLSConfig:  s.TLSConfig,
		Protocol:   s.Protocol,

		PoolSize:                 s.PoolSize,
		ReadBufferSize:           s.ReadBufferSize,
		WriteBufferSize:          s.WriteBufferSize,
		PipelinePoolSize:         s.PipelinePoolSize,
		DialTimeout:              s.DialTimeout,
		DialerRetries:            s.DialerRetries,
		MaxRetries:               s.MaxRetries,
		ContextTimeoutEnabled:    s.ContextTimeoutEnabled,
		ReadTimeout:              s.ReadTimeout,
		WriteTimeout:             s.WriteTimeout,
		DisableIdentity:          s.DisableIdentity,
		MaintNotificationsConfig: s.MaintNotificationsConfig,
	})
}

// settings recover 0.2 s after Redis does; with the client's defaults 20 s were
// too short. The client never retries: a repeated write needs the event's id,
// which only the caller has.
func (o Options) settings() *redis.ClusterOptions {
	setLogger.Do(func() { redis.SetLogger(debugLog{}) })
	if o.ReadTimeout == 0 {
		o.ReadTimeout = AnswerTimeout
	}
	return &redis.ClusterOptions{
		Addrs:      o.Addrs,
		ClientName: o.Name,
		Username:   o.Username,
		Password:   o.Password,
		TLSConfig:  o.TLS,
		Protocol:   2, // 3 would look for pushed messages around each command

		PoolSize:                   o.PoolSize,
		ReadBufferSize:             bufferSize,
		WriteBufferSize:            bufferSize,
		PipelinePoolSize:           -1, // pipelines use the same pool
		DialTimeout:                DialTimeout,
		DialerRetries:              1,
		MaxRetries:                 -1,
		MaxRedirects:               2,
		ContextTimeoutEnabled:      true,
		ReadTimeout:                o.ReadTimeout,
		WriteTimeout:               AnswerTimeout,
		ClusterStateReloadInterval: time.Second,
		DisableRoutingPolicies:     true, // they fetch the command table before the first command of each kind
		DisableIdentity:            true,
		MaintNotificationsConfig:   &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// Master returns the node that serves a key, as far as the client knows.
func (c *Client) Master(ctx context.Context, key string) (*redis.Client, error) {
	if c.cluster == nil {
		return c.node, nil
	}
	return c.cluster.MasterForKey(ctx, key)
}

// EachMaster calls do for every master at the same time and returns the first
// error.
func (c *Client) EachMaster(ctx context.Context, do func(context.Context, *redis.Client) error) error {
	if c.cluster == nil {
		return do(ctx, c.node)
	}
	return c.cluster.ForEachMaster(ctx, do)
}

// OnNewNode has do called with each node that the client meets. Call it before
// the first command.
func (c *Client) OnNewNode(do func(*redis.Client)) {
	if c.cluster == nil {
		do(c.node)
		return
	}
	c.cluster.OnNewNode(do)
}

// Reload has the client learn soon which node serves what; left alone it may
// ask a dead master for long. Calls that come close together count as one.
func (c *Client) Reload() {
	if c.cluster != nil {
		c.cluster.ReloadState(context.Background())
	}
}

// The Redis client prints its remarks to standard error for the whole process.
// Everything that matters is also returned as an error, so debugLog keeps them
// for debugging.
type debugLog struct{}

func (debugLog) Printf(ctx context.Context, format string, v ...any) {
	if l := slog.Default(); l.Enabled(ctx, slog.LevelDebug) {
		l.DebugContext(ctx, "redis client: "+fmt.Sprintf(format, v...))
	}
}
