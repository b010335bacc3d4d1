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

// The inbox takes events from services that use Redis instead of HTTP:
//
//	XADD ps:inbox * merchant acme type payment.succeeded subject order/9 id pay-77 data '{"amount":1250}'
//
// An entry that is no valid event moves to a stream of dead letters, with the
// reason.
const (
	InboxKey = "ps:inbox"
	DeadKey  = "ps:inbox:dead"

	inboxGroup  = "gateways"
	inboxReader = "holder" // one name, because one gateway at a time reads
	inboxBatch  = 100
	inboxBlock  = time.Second
	inboxRetry  = 200 * time.Millisecond
	deadMost    = 10_000 // letters to keep
	intakeLease = "ps:intake"
)

// An Intake turns messages from Redis into events. Its errors tell the sender why
// a message is no valid event.
type Intake struct {
	// Inbox decodes an entry of the inbox. An event without an id gets one from the
	// entry's ID, so that it is appended once.
	Inbox func(ctx context.Context, fields map[string]string) (log string, e Event, err error)
	// Message decodes a message from a channel.
	Message func(ctx context.Context, channel, payload string) (log string, e Event, err error)
	// Channels are the channels to listen to. A name may end in *.
	Channels []string
	// Refused, if not nil, is called for each refused message, with its origin:
	// "inbox" or "channel".
	Refused func(from string, reason error)
}

// Take appends events from the inbox and from channels until ctx is done. One
// gateway at a time does so; another takes over within three seconds of its end.
//
// Inbox entries are appended in order, each once, even if gateways fail: a
// successor first finishes what was pending. Channel messages are lost while no
// gateway listens, as usual with pub/sub. An event is guaranteed only once it is
// in its log.
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

// takeInbox empties the inbox until ctx is done. It always takes pending entries
// first, because another gateway may have left some.
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
			l.logger.Warn("the inbox is out of reach", "error", rediscluster.WithoutAddress(err))
			rediscluster.Sleep(ctx, inboxRetry)
		}
	}
}

// inbox returns the next entries: pending ones, or new ones, for which it waits up
// to inboxBlock.
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

// deliver appends the entries in order, sets invalid ones aside, and removes all
// from the inbox. After an error, call it again with the same entries: the repeat
// loses no event and appends none twice.
func (l *RedisLog) deliver(ctx context.Context, in *Intake, entries []redis.XMessage) error {
	d := delivery{log: l}
	for _, entry := range entries {
		if entry.Values == nil {
			continue // deleted while it was pending
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

// A letter is an entry that is no valid event, and the reason.
type letter struct {
	entry  redis.XMessage
	reason error
}

// A delivery appends entries of the inbox, runs of the same log in one batch.
type delivery struct {
	log *RedisLog

	to      string // the log of events
	events  []Event
	entries []redis.XMessage // of events

	dead []letter
}

// add adds an event to the batch. It first appends the batch of another log.
func (d *delivery) add(ctx context.Context, to string, e Event, entry redis.XMessage) error {
	if to != d.to {
		if err := d.flush(ctx); err != nil {
			return err
		}
		d.to = to
	}
	d.events, d.entries = append(d.events, e), append(d.entries, entry)
	return nil
}

// flush appends the batch. Events with a reused id or for a damaged log become
// dead letters, so that they do not block others.
func (d *delivery) flush(ctx context.Context) error {
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

// forgetInbox stores the dead letters and removes all entries from the inbox.
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

// A DeadLetter is an entry of the inbox that was no valid event.
type DeadLetter struct {
	ID     string // of the letter
	Inbox  string // ID of the entry in the inbox
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

// PostInbox adds an event to the inbox, as services do, and returns the ID of the
// entry. The event is not validated yet.
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
