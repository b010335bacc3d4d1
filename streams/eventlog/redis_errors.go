package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// The Redis client prints what it notices to standard error, by itself and for
// the whole process. What matters comes back as an error.
func init() { redis.SetLogger(remarks{}) }

type remarks struct{}

func (remarks) Printf(ctx context.Context, format string, v ...any) {
	if l := slog.Default(); l.Enabled(ctx, slog.LevelDebug) {
		l.DebugContext(ctx, "redis client: "+fmt.Sprintf(format, v...))
	}
}

// isReply reports whether Redis answered with this error, as opposed to not
// answering.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// isPassing reports whether another try may go better: nobody answered, or a
// node that does not serve this now.
func (l *RedisLog) isPassing(err error) bool {
	if !isReply(err) {
		return !l.closed.Load()
	}
	for _, prefix := range []string{
		"MOVED ", "ASK ", "TRYAGAIN ", "CLUSTERDOWN ", "LOADING ", "MASTERDOWN ", "READONLY ", "UNBLOCKED ",
	} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

// fault returns a Redis error as one of the log's, or the context's.
func fault(ctx context.Context, log string, err error) error {
	switch {
	case redis.HasErrorPrefix(err, "WRONGTYPE "), redis.HasErrorPrefix(err, "DAMAGED "): // ours, from the script
		return fmt.Errorf("log %q: %w: %w", log, ErrDamaged, err)
	case ctx.Err() != nil:
		return fmt.Errorf("log %q: %w: %w", log, ErrUnavailable, context.Cause(ctx))
	}
	return fmt.Errorf("log %q: %w: %w", log, ErrUnavailable, unaddressed(err))
}

// unaddressed returns err without the addresses of Redis nodes: errors are
// logged, and logs are read by more people than the network's plan.
func unaddressed(err error) error {
	var op *net.OpError
	switch {
	case errors.As(err, &op):
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	case redis.HasErrorPrefix(err, "MOVED "), redis.HasErrorPrefix(err, "ASK "):
		return errors.New("redirected")
	}
	return err
}

// refusal returns an error that the append script wrote into its reply.
func refusal(log, text string) error {
	return fmt.Errorf("log %q: %w: %s", log, ErrDamaged, strings.TrimPrefix(text, "ERR "))
}

// reload has the cluster client learn who serves what, soon; it joins requests
// that come close together by itself.
func (l *RedisLog) reload() {
	for _, c := range []redis.UniversalClient{l.client, l.bells} {
		if cluster, ok := c.(*redis.ClusterClient); ok {
			cluster.ReloadState(context.Background())
		}
	}
}

// query calls ask until it succeeds, fails for good, or patience ends.
func (l *RedisLog) query(ctx context.Context, log string, ask func(context.Context) error) error {
	patient, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	for try := 0; ; try++ {
		err := ask(patient)
		if err == nil || errors.Is(err, redis.Nil) {
			return nil
		}
		l.reload()
		if !l.isPassing(err) || !pause(patient, try) {
			return fault(ctx, log, err)
		}
	}
}

// pause waits a little, longer with each try, and reports whether there is time
// for another.
func pause(ctx context.Context, try int) bool {
	d := min(5*time.Millisecond<<min(try, 5), 100*time.Millisecond)
	return sleep(ctx, d/2+rand.N(d))
}

// sleep reports whether d passed before ctx was done.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
