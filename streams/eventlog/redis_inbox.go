package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/rediscluster"
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

// takeInbox empties the inbox until ctx is done. What was read before and not
// finished comes first, each time: another gateway may have left it.
func (l *RedisLog) takeInbox(ctx context.Context, in *Intake) {
	for ctx.Err() == nil {
		entries, err := l.inbox(ctx, true)
		if err == nil && len(entries) == 0 {
			entries, err = l.inbox(ctx, false)
		}
		if err == nil && len(entries) > 0 {
			err = l.deliver(ctx, in, entries)
		}
		if err != nil && ctx.Err() == nil {
			l.logger.Warn("the inbox cannot be emptied at the moment", "error", rediscluster.WithoutAddress(err))
			rediscluster.Sleep(ctx, inboxRetry)
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
	ctx, cancel := context.WithTimeout(ctx, inboxBlock+rediscluster.AnswerTimeout)
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
// forgets them. With an error some may be published, and none of them is lost or
// twice in a log when it is called again.
func (l *RedisLog) deliver(ctx context.Context, in *Intake, entries []redis.XMessage) error {
	d := delivered{log: l}
	for _, entry := range entries {
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
			d.dead = append(d.dead, letter{entry, err})
			continue
		}
		if err := d.add(ctx, to, event, entry); err != nil {
			return err
		}
	}
	if err := d.flush(ctx); err != nil {
		return err
	}
	return l.forgetInbox(ctx, in, entries, d.dead)
}

// A letter is an entry that was no event, and why.
type letter struct {
	entry  redis.XMessage
	reason error
}

// delivered is what becomes of some entries of the inbox.
type delivered struct {
	log *RedisLog

	to      string // the log of the following
	events  []Event
	entries []redis.XMessage // of events

	dead []letter
}

// add publishes an event, soon and after those before it.
func (d *delivered) add(ctx context.Context, to string, e Event, entry redis.XMessage) error {
	if to != d.to {
		if err := d.flush(ctx); err != nil {
			return err
		}
		d.to = to
	}
	d.events, d.entries = append(d.events, e), append(d.entries, entry)
	return nil
}

// flush publishes what was added. An id that is another event's, and a log that
// nobody can write to, make dead letters: they hold up nobody else.
func (d *delivered) flush(ctx context.Context) error {
	events, entries := d.events, d.entries
	d.events, d.entries = nil, nil
	if len(events) == 0 {
		return nil
	}
	receipts, err := d.log.Append(ctx, d.to, events)
	if errors.Is(err, ErrDamaged) {
		receipts = make([]Receipt, len(events))
		for i := range receipts {
			receipts[i].Err = err
		}
	} else if err != nil {
		return err
	}
	for i, r := range receipts {
		switch {
		case errors.Is(r.Err, ErrReused), errors.Is(r.Err, ErrDamaged):
			d.dead = append(d.dead, letter{entries[i], r.Err})
		case r.Err != nil:
			return r.Err
		}
	}
	return nil
}

// forgetInbox takes entries out of the inbox, and keeps those that were no events
// among the dead letters.
func (l *RedisLog) forgetInbox(ctx context.Context, in *Intake, entries []redis.XMessage, dead []letter) error {
	for _, d := range dead {
		values := []any{"inbox_id", d.entry.ID, "reason", d.reason.Error()}
		for name, value := range d.entry.Values {
			values = append(values, "field:"+name, value)
		}
		err := l.client.XAdd(ctx, &redis.XAddArgs{Stream: DeadKey, MaxLen: deadMost, Approx: true, Values: values}).Err()
		if err != nil {
			return err
		}
	}
	ids := make([]string, len(entries))
	for i, entry := range entries {
		ids[i] = entry.ID
	}
	pipe := l.client.Pipeline()
	pipe.XAck(ctx, InboxKey, inboxGroup, ids...)
	pipe.XDel(ctx, InboxKey, ids...)
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	if in.Refused != nil {
		for _, d := range dead {
			in.Refused("inbox", d.reason)
		}
	}
	return nil
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
