package streams

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// The inbox takes events from services that speak Redis and not HTTP:
//
//	XADD ps:inbox * merchant acme type payment.succeeded subject order/9 id pay-77 data '{"amount":1250}'
//
// What is no event goes to a stream of dead letters, with the reason.
const (
	InboxKey = "ps:inbox"
	DeadKey  = "ps:inbox:dead"

	inboxGroup  = "gateways"
	inboxReader = "holder" // one name, for one gateway at a time reads
	inboxBatch  = 100
	inboxBlock  = time.Second
	inboxRetry  = 200 * time.Millisecond
	deadMost    = 10_000 // letters that are kept
	intakeLease = "ps:intake"
)

// An Intake makes events of what comes by Redis itself. Its errors say why
// something is none, in words for whoever sent it.
type Intake struct {
	// Inbox reads an entry of the inbox. An event without an id gets that of the
	// entry, so that it is taken once.
	Inbox func(ctx context.Context, fields map[string]string) (log string, e Event, err error)
	// Message reads a message that was published to a channel.
	Message func(ctx context.Context, channel, payload string) (log string, e Event, err error)
	// Channels are those whose messages are taken; * may stand at the end of a name.
	Channels []string
	// Refused is called with what was no event, by where it came: "inbox", or
	// "channel". Nil: nobody is told.
	Refused func(from string, reason error)
}

// Take takes what comes by Redis into the logs until ctx is done, on one gateway at
// a time: another goes on within three seconds of its end.
//
// The inbox is taken in order, each entry once, whatever happens to gateways; what
// was under way when one ended is finished first. Messages of channels are lost
// while nobody listens, which is what pub/sub is: the contract begins when an
// event is in its log.
func (l *RedisLog) Take(ctx context.Context, in Intake) {
	newLease(l.client, intakeLease).hold(ctx, func(ctx context.Context) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.takeChannels(ctx, &in)
		}()
		l.takeInbox(ctx, &in)
		<-done
	})
}

// takeInbox empties the inbox until ctx is done.
func (l *RedisLog) takeInbox(ctx context.Context, in *Intake) {
	for pending := true; ctx.Err() == nil; {
		entries, err := l.inbox(ctx, pending)
		switch {
		case err != nil:
			if ctx.Err() == nil {
				l.logger.Warn("the inbox cannot be read", "error", unaddressed(err))
			}
			pending = true // what was read and not finished comes first
			sleep(ctx, inboxRetry)
			continue
		case len(entries) == 0:
			pending = false
			continue
		}
		if err := l.deliver(ctx, in, entries); err != nil {
			if ctx.Err() == nil {
				l.logger.Warn("what is in the inbox cannot be published at the moment", "error", unaddressed(err))
			}
			pending = true
			sleep(ctx, inboxRetry)
		}
	}
}

// inbox returns the next entries: those that were read before and not finished, or
// new ones, for which it waits a little.
func (l *RedisLog) inbox(ctx context.Context, pending bool) ([]redis.XMessage, error) {
	from := ">"
	if pending {
		from = "0"
	}
	ctx, cancel := context.WithTimeout(ctx, inboxBlock+answerTimeout)
	defer cancel()
	found, err := l.bells.XReadGroup(ctx, &redis.XReadGroupArgs{
		Group: inboxGroup, Consumer: inboxReader, Streams: []string{InboxKey, from}, Count: inboxBatch, Block: inboxBlock,
	}).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, nil
	case redis.HasErrorPrefix(err, "NOGROUP"):
		err = l.client.XGroupCreateMkStream(ctx, InboxKey, inboxGroup, "0").Err()
		if redis.HasErrorPrefix(err, "BUSYGROUP") {
			err = nil
		}
		return nil, err
	case err != nil:
		return nil, err
	}
	return found[0].Messages, nil
}

// deliver publishes entries in their order, puts aside what is no event, and
// forgets them. With an error some may be done, and none of them is lost or twice
// in a log when it is called again.
func (l *RedisLog) deliver(ctx context.Context, in *Intake, entries []redis.XMessage) error {
	var ids []string
	var log string
	var events []Event
	var sources []redis.XMessage // of events
	flush := func() error {
		err := l.publish(ctx, in, log, events, sources)
		events, sources = nil, nil
		return err
	}
	for _, entry := range entries {
		ids = append(ids, entry.ID)
		if entry.Values == nil {
			continue // it was deleted while it was pending
		}
		fields := make(map[string]string, len(entry.Values))
		for name, value := range entry.Values {
			fields[name], _ = value.(string)
		}
		if fields["id"] == "" {
			fields["id"] = "inbox-" + entry.ID
		}
		to, event, err := in.Inbox(ctx, fields)
		switch {
		case errors.Is(err, ErrUnavailable):
			return err
		case err != nil:
			if err := l.bury(ctx, in, entry, err); err != nil {
				return err
			}
			continue
		}
		if to != log || len(events) == inboxBatch {
			if err := flush(); err != nil {
				return err
			}
			log = to
		}
		events, sources = append(events, event), append(sources, entry)
	}
	if err := flush(); err != nil {
		return err
	}
	pipe := l.client.Pipeline()
	pipe.XAck(ctx, InboxKey, inboxGroup, ids...)
	pipe.XDel(ctx, InboxKey, ids...)
	_, err := pipe.Exec(ctx)
	return err
}

// publish appends events to a log. An id that is another event's makes a dead
// letter.
func (l *RedisLog) publish(ctx context.Context, in *Intake, log string, events []Event, sources []redis.XMessage) error {
	if len(events) == 0 {
		return nil
	}
	receipts, err := l.Append(ctx, log, events)
	if err != nil {
		return err
	}
	for i, r := range receipts {
		switch {
		case errors.Is(r.Err, ErrReused):
			if err := l.bury(ctx, in, sources[i], r.Err); err != nil {
				return err
			}
		case r.Err != nil:
			return r.Err
		}
	}
	return nil
}

// bury puts an entry among the dead letters, under its own id in the inbox.
func (l *RedisLog) bury(ctx context.Context, in *Intake, entry redis.XMessage, reason error) error {
	if in.Refused != nil {
		in.Refused("inbox", reason)
	}
	values := []any{"inbox_id", entry.ID, "reason", reason.Error()}
	for name, value := range entry.Values {
		values = append(values, "field:"+name, value)
	}
	return l.client.XAdd(ctx, &redis.XAddArgs{Stream: DeadKey, MaxLen: deadMost, Approx: true, Values: values}).Err()
}

// A DeadLetter is an entry of the inbox that was no event.
type DeadLetter struct {
	ID     string // of the letter
	Inbox  string // the id that the entry had in the inbox
	Reason string
	Fields map[string]string // of the entry
}

// DeadLetters returns up to limit dead letters, newest first.
func (l *RedisLog) DeadLetters(ctx context.Context, limit int) ([]DeadLetter, error) {
	found, err := l.client.XRevRangeN(ctx, DeadKey, "+", "-", int64(limit)).Result()
	if err != nil {
		return nil, fault(ctx, DeadKey, err)
	}
	letters := make([]DeadLetter, len(found))
	for i, m := range found {
		letters[i] = DeadLetter{ID: m.ID, Fields: make(map[string]string)}
		for name, value := range m.Values {
			text := fmt.Sprint(value)
			switch field, ok := strings.CutPrefix(name, "field:"); {
			case ok:
				letters[i].Fields[field] = text
			case name == "inbox_id":
				letters[i].Inbox = text
			case name == "reason":
				letters[i].Reason = text
			}
		}
	}
	return letters, nil
}

// PostInbox puts an event into the inbox, as services do, and returns the id of
// the entry. Nobody has looked at it yet.
func (l *RedisLog) PostInbox(ctx context.Context, fields map[string]string) (string, error) {
	var values []any
	for name, value := range fields {
		values = append(values, name, value)
	}
	id, err := l.client.XAdd(ctx, &redis.XAddArgs{Stream: InboxKey, Values: values}).Result()
	if err != nil {
		return "", fault(ctx, InboxKey, err)
	}
	return id, nil
}
