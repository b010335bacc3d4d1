package eventlog

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/rediscluster"
)

// Bounds of one script call, because a script blocks its master while it runs.
const (
	maxScriptEvents = 128
	maxScriptBytes  = 1 << 20
)

// Append implements [Log]. A batch that is too large for one script is appended
// by several, one after the other. It returns within 1.2 s, whatever Redis does.
func (l *RedisLog) Append(ctx context.Context, log string, events []Event) ([]Receipt, error) {
	patient, cancel := context.WithTimeout(ctx, appendPatience)
	defer cancel()
	receipts := make([]Receipt, 0, len(events))
	var failure error
	reached := len(events) == 0
	for len(events) > 0 {
		part := events[:fitting(events)]
		events = events[len(part):]
		if failure == nil {
			var more []Receipt
			if more, failure = l.appendPart(patient, log, part); failure == nil {
				receipts = append(receipts, more...)
				reached = true
				continue
			}
			failure = fault(ctx, log, failure)
		}
		for range part {
			receipts = append(receipts, Receipt{Err: failure})
		}
	}
	if !reached {
		return nil, failure
	}
	return receipts, nil
}

func fitting(events []Event) int {
	size := 0
	for i := range events {
		size += weigh(&events[i])
		if i == maxScriptEvents || i > 0 && size > maxScriptBytes {
			return i
		}
	}
	return len(events)
}

func weigh(e *Event) int { return len(e.Data) + len(e.Extensions) + 512 }

func (l *RedisLog) appendPart(ctx context.Context, log string, events []Event) ([]Receipt, error) {
	tags := make([][tagLen]byte, len(events))
	j := job{log: log}
	for i := range events {
		tags[i] = newTag()
		j.size += weigh(&events[i])
	}
	j.Call = l.appendCall(log, events, tags)
	done, err := l.send(ctx, j)
	if err != nil {
		return nil, err
	}
	replies, err := done.Cmd.Slice()
	if err != nil {
		return nil, err
	}
	if len(replies) != len(events) {
		return nil, fmt.Errorf("%d replies for %d events", len(replies), len(events))
	}

	receipts := make([]Receipt, len(events))
	for i, reply := range replies {
		text, _ := reply.(string)
		r, err := readReceipt(log, text, tags[i])
		if err != nil {
			return nil, err
		}
		if r.Err == nil && !done.Confirmed { //mutant:never confirmation
			r.Err = ErrNotReplicated
		}
		receipts[i] = r
	}
	return receipts, nil
}

// readReceipt decodes the script's reply about one event that was sent with tag.
func readReceipt(log, reply string, tag [tagLen]byte) (Receipt, error) {
	if reply == "" {
		return Receipt{}, errors.New("an empty reply")
	}
	verdict, rest := reply[0], reply[1:]
	switch verdict {
	case '-':
		return Receipt{Err: refusal(log, rest)}, nil
	case '+':
		id, err := parseStamp(rest)
		id.tag = tag
		return Receipt{ID: id}, err
	}
	id, err := ParseID(rest)
	if err != nil {
		return Receipt{Err: refusal(log, "a duplicate has no position")}, nil
	}
	if verdict == '!' {
		return Receipt{ID: id, Err: ErrReused}, nil
	}
	// If the tag is ours, an earlier try of this call appended the event.
	return Receipt{ID: id, Duplicate: id.tag != tag}, nil
}

func (l *RedisLog) appendCall(log string, events []Event, tags [][tagLen]byte) rediscluster.Call {
	k := keysOf(log)
	retention := l.retention.of(log)
	half := max(l.window/2, time.Millisecond)
	bucket := l.now().UnixNano() / int64(half)
	incarnation := newTag()

	keys := make([]string, 0, 8)
	keys = append(keys, k.log, k.head)
	for b := bucket - 2; b <= bucket+1; b++ {
		keys = append(keys, k.duplicates+strconv.FormatInt(b%4, 10))
	}
	if slices.ContainsFunc(events, func(e Event) bool { return e.State }) {
		keys = append(keys, k.states, k.ages)
	}
	args := make([]any, 0, 8+7*len(events))
	args = append(args,
		retention.Events, max(retention.Age.Milliseconds(), 1),
		bucket, max(4*half.Milliseconds(), 1), string(incarnation[:]),
		MaxStates, max(retention.State.Milliseconds(), 1), retention.stateLife().Milliseconds())
	for i := range events {
		e := &events[i]
		digest := e.Digest()
		args = append(args,
			eventKeyHash(e), digest[:], string(tags[i][:]), packAttributes(e), e.Data,
			e.stateMark(), e.stateField())
	}
	return rediscluster.Call{Script: appendScript, Keys: keys, Args: args}
}

// eventKeyHash names an event in its duplicate bucket, in 16 bytes for any length
// of source and id.
func eventKeyHash(e *Event) []byte {
	h := sha256.New()
	h.Write([]byte(e.Source))
	h.Write([]byte{0})
	h.Write([]byte(e.ID))
	return h.Sum(nil)[:16]
}

// send sends a job to the master of its log, and retries transient errors. A job
// that was redirected or refused is not covered by its pipeline's confirmation. A
// job without an answer is safe to repeat, because the script finds its events.
func (l *RedisLog) send(ctx context.Context, j job) (rediscluster.Call, error) {
	const maxRedirects = 4 // beyond that, nodes redirect in a circle
	var at *shard          // the node of a redirection; nil: the log's master
	for try := 0; ; try++ {
		done, err := l.attempt(ctx, at, j)
		if err == nil {
			return done, nil
		}
		at, j.Asking = nil, false
		if moved, ok := redis.IsMovedError(err); ok {
			at = l.shardAt(moved)
			l.reload()
		} else if asked, ok := redis.IsAskError(err); ok {
			at = l.shardAt(asked)
			j.Asking = at != nil
		}
		switch {
		case at != nil && try < maxRedirects:
			continue
		case !rediscluster.IsTransient(err):
			return done, err
		case redis.HasErrorPrefix(err, "TRYAGAIN "):
			// The keys of this log are moving, which is short.
			if !rediscluster.Pause(ctx, min(try, 2)) {
				return done, err
			}
			continue
		}
		l.reload()
		if !rediscluster.Pause(ctx, try) {
			return done, err
		}
	}
}

func (l *RedisLog) attempt(ctx context.Context, at *shard, j job) (done rediscluster.Call, err error) {
	if at == nil {
		if at, err = l.shardOf(ctx, j.log); err != nil {
			return done, err
		}
	}
	j.until, _ = ctx.Deadline()
	j.done = make(chan struct{})
	at.submit(&j)
	select {
	case <-j.done:
		return j.Call, j.Err
	case <-ctx.Done():
		return done, ctx.Err()
	}
}
