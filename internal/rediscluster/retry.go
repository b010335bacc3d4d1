package rediscluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// Retry calls do until it succeeds, fails for good, or ctx leaves no time for
// another try. It returns do's last error; [redis.Nil] is an answer and ends it.
func (c *Client) Retry(ctx context.Context, do func(context.Context) error) error {
	for try := 0; ; try++ {
		err := do(ctx)
		if err == nil || errors.Is(err, redis.Nil) {
			return err
		}
		c.Reload()
		if !IsTransient(err) || !Pause(ctx, try) {
			return err
		}
	}
}

// IsReply reports whether Redis answered with this error, as opposed to not
// answering.
func IsReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// IsTransient reports whether another try may succeed: no node answered, or
// one that does not serve this now.
func IsTransient(err error) bool {
	if !IsReply(err) {
		return !errors.Is(err, redis.ErrClosed)
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

// WithoutAddress returns err without the addresses of nodes: errors are logged,
// and more people read logs than may know the network.
func WithoutAddress(err error) error {
	var op *net.OpError
	switch {
	case errors.As(err, &op):
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	case redis.HasErrorPrefix(err, "MOVED "), redis.HasErrorPrefix(err, "ASK "):
		return errors.New("redirected")
	}
	return err
}

// Pause waits 5 ms on average after the first try, and up to 100 ms after later
// ones. It returns false if ctx was done first.
func Pause(ctx context.Context, try int) bool {
	d := min(5*time.Millisecond<<min(try, 5), 100*time.Millisecond)
	return Sleep(ctx, d/2+rand.N(d))
}

// Sleep reports whether d passed before ctx was done.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
