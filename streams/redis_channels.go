package streams

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
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
			l.logger.Warn("channels cannot be heard at the moment", "error", unaddressed(err))
			l.reload()
			sleep(ctx, inboxRetry)
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

// takeMessage publishes a message, or counts it as none.
func (l *RedisLog) takeMessage(ctx context.Context, in *Intake, m *redis.Message) {
	log, event, err := in.Message(ctx, m.Channel, m.Payload)
	if err == nil {
		var receipts []Receipt
		if receipts, err = l.Append(ctx, log, []Event{event}); err == nil {
			err = receipts[0].Err
		}
		for tries := 0; tries < 10 && err != nil && ctx.Err() == nil && !errors.Is(err, ErrReused); tries++ {
			sleep(ctx, inboxRetry) // the message is here, and nowhere else
			if receipts, err = l.Append(ctx, log, []Event{event}); err == nil {
				err = receipts[0].Err
			}
		}
	}
	if err != nil && in.Refused != nil {
		in.Refused("channel", err)
	}
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
