package eventlog

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/rediscluster"
)

// channelCheck is how long the channels may be silent before a ping checks the
// connection.
const channelCheck = time.Second

// messageTries bounds the attempts to append one message.
const messageTries = 10

// takeChannels appends the messages of channels until ctx is done.
func (l *RedisLog) takeChannels(ctx context.Context, in *Intake) {
	if len(in.Channels) == 0 {
		<-ctx.Done()
		return
	}
	for ctx.Err() == nil {
		if err := l.listen(ctx, in); err != nil && ctx.Err() == nil {
			l.logger.Warn("channels are out of reach", "error", rediscluster.WithoutAddress(err))
			l.reload()
			rediscluster.Sleep(ctx, inboxRetry)
		}
	}
}

// listen takes messages until the connection fails. Any node will do, because a
// cluster broadcasts every message.
func (l *RedisLog) listen(ctx context.Context, in *Intake) error {
	asked := patterns(in.Channels)
	sub := l.bells.PSubscribe(ctx, asked...)
	defer sub.Close()
	for quiet := false; ; {
		received, err := sub.ReceiveTimeout(ctx, channelCheck)
		switch {
		case ctx.Err() != nil:
			return nil
		case isTimeout(err) && !quiet:
			quiet = true
			if err := sub.Ping(ctx); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		quiet = false
		// A message arrives once per pattern that its channel matches.
		if m, ok := received.(*redis.Message); ok && m.Pattern == asked[first(in.Channels, m.Channel)] {
			l.takeMessage(ctx, in, m)
		}
	}
}

// first returns the index of the first name that matches a channel. At least one
// matches.
func first(names []string, channel string) int {
	for i, name := range names {
		if prefix, open := strings.CutSuffix(name, "*"); open && strings.HasPrefix(channel, prefix) || name == channel {
			return i
		}
	}
	return 0
}

// takeMessage appends a message or reports it as refused. It retries while Redis
// is away, because nothing else holds the message. A try whose answer was lost may
// have appended the event, so all tries append the same one.
func (l *RedisLog) takeMessage(ctx context.Context, in *Intake, m *redis.Message) {
	var log string
	var event Event
	err := retryPassing(ctx, func() (err error) {
		log, event, err = in.Message(ctx, m.Channel, m.Payload)
		return err
	})
	if err == nil {
		err = retryPassing(ctx, func() error {
			receipts, err := l.Append(ctx, log, []Event{event})
			if err != nil {
				return err
			}
			return receipts[0].Err
		})
	}
	if err != nil && in.Refused != nil {
		in.Refused("channel", err)
	}
}

// retryPassing calls try again while Redis is away, messageTries times at the most.
func retryPassing(ctx context.Context, try func() error) error {
	var err error
	for range messageTries {
		err = try()
		passing := errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNotReplicated)
		if !passing || !rediscluster.Sleep(ctx, inboxRetry) {
			break
		}
	}
	return err
}

// patterns returns the names as Redis patterns. In a name, only a * at the end is
// special.
func patterns(names []string) []string {
	escape := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)
	all := make([]string, len(names))
	for i, name := range names {
		prefix, open := strings.CutSuffix(name, "*")
		if all[i] = escape.Replace(prefix); open {
			all[i] += "*"
		}
	}
	return all
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}
