package eventlog

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/rediscluster"
)

// channelCheck is how long a channel may be silent before its connection is asked
// whether it lives.
const channelCheck = time.Second

// takeChannels publishes the messages of channels until ctx is done.
func (l *RedisLog) takeChannels(ctx context.Context, in *Intake) {
	if len(in.Channels) == 0 {
		<-ctx.Done()
		return
	}
	for ctx.Err() == nil {
		if err := l.listen(ctx, in); err != nil && ctx.Err() == nil {
			l.logger.Warn("channels cannot be heard at the moment", "error", rediscluster.WithoutAddress(err))
			l.reload()
			rediscluster.Sleep(ctx, inboxRetry)
		}
	}
}

// listen takes messages until the connection fails. Whatever node it is to hears
// what is published to any.
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
			quiet = true // whoever lives answers this
			if err := sub.Ping(ctx); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		quiet = false
		// Several patterns may fit a channel: its message comes for each of them.
		if m, ok := received.(*redis.Message); ok && m.Pattern == asked[first(in.Channels, m.Channel)] {
			l.takeMessage(ctx, in, m)
		}
	}
}

// first returns which of names is the first that fits a channel, which one does.
func first(names []string, channel string) int {
	for i, name := range names {
		if prefix, open := strings.CutSuffix(name, "*"); open && strings.HasPrefix(channel, prefix) || name == channel {
			return i
		}
	}
	return 0
}

// takeMessage publishes a message, or counts it as none. It is here and nowhere
// else, so what passes is waited for.
func (l *RedisLog) takeMessage(ctx context.Context, in *Intake, m *redis.Message) {
	var err error
	for range messageTries {
		if err = l.publishMessage(ctx, in, m); !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrNotReplicated) || !rediscluster.Sleep(ctx, inboxRetry) {
			break
		}
	}
	if err != nil && in.Refused != nil {
		in.Refused("channel", err)
	}
}

// messageTries is how often a message is published at most.
const messageTries = 10

func (l *RedisLog) publishMessage(ctx context.Context, in *Intake, m *redis.Message) error {
	log, event, err := in.Message(ctx, m.Channel, m.Payload)
	if err != nil {
		return err
	}
	receipts, err := l.Append(ctx, log, []Event{event})
	if err != nil {
		return err
	}
	return receipts[0].Err
}

// patterns returns what Redis calls the names, in which nothing but a * at the end
// is special.
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
