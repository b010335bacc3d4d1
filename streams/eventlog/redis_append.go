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
)

// How much of one call goes into one script, which holds up everyone else on
// that master while it runs.
const (
	maxScriptEvents = 128
	maxScriptBytes  = 1 << 20
)

// Append implements [Log]. A batch that is too large for one script is appended
// in several, one after the other. It answers within 1.2 s, whatever Redis does.
func (l *RedisLog) Append(ctx context.Context, log string, events []Event) ([]Receipt, error) {
	patient, cancel := context.WithTimeout(ctx, appendPatience)
	defer cancel()
	receipts := make([]Receipt, 0, len(events))
	var failure error
	reached := len(events) == 0
	for len(events) > 0 {
		part := events[:scriptful(events)]
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

// scriptful returns how many of the events go into one script.
func scriptful(events []Event) int {
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

// appendPart appends what one script can.
func (l *RedisLog) appendPart(ctx context.Context, log string, events []Event) ([]Receipt, error) {
	tags := make([][tagLen]byte, len(events))
	job := job{log: log, size: 0}
	for i := range events {
		tags[i] = newTag()
		job.size += weigh(&events[i])
	}
	job.call = l.appendCall(log, events, tags)
	done, err := l.send(ctx, job)
	if err != nil {
		return nil, err
	}
	if len(done.replies) != len(events) {
		return nil, fmt.Errorf("%d replies for %d events", len(done.replies), len(events))
	}

	receipts := make([]Receipt, len(events))
	for i, reply := range done.replies {
		text, _ := reply.(string)
		r, err := readReceipt(log, text, tags[i])
		if err != nil {
			return nil, err
		}
		if r.Err == nil && !done.confirmed && l.durability == Replicated { //mutant:never confirmation
			r.Err = ErrNotReplicated
		}
		receipts[i] = r
	}
	return receipts, nil
}

// readReceipt reads what the script says of one event that was sent with tag.
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
	// With the tag that was made for it, it is what an earlier try of this very
	// call appended.
	return Receipt{ID: id, Duplicate: id.tag != tag}, nil
}

// appendCall returns the call of the script, by its hash.
func (l *RedisLog) appendCall(log string, events []Event, tags [][tagLen]byte) []any {
	k := keysOf(log)
	retention := l.retention.of(log)
	half := max(l.window/2, time.Millisecond)
	bucket := l.now().UnixNano() / int64(half)
	incarnation := newTag()

	const keysAt = 2
	args := make([]any, 0, keysAt+17+7*len(events))
	args = append(args, "EVALSHA", appendScript.Hash(), 6, k.log, k.head)
	for b := bucket - 2; b <= bucket+1; b++ {
		args = append(args, k.duplicates+strconv.FormatInt(b%4, 10))
	}
	if slices.ContainsFunc(events, func(e Event) bool { return e.State }) {
		args[keysAt] = 8
		args = append(args, k.states, k.ages)
	}
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
	return args
}

// eventKeyHash names an event in its duplicate bucket, in 16 bytes, however long
// its source and id are.
func eventKeyHash(e *Event) []byte {
	h := sha256.New()
	h.Write([]byte(e.Source))
	h.Write([]byte{0})
	h.Write([]byte(e.ID))
	return h.Sum(nil)[:16]
}

// send has a job done by the master of its log, and tries again while that may
// help: what was redirected or refused is not covered by the confirmation of
// the pipeline that it was in, and what was not answered is safe to repeat,
// because the script finds what is there.
func (l *RedisLog) send(ctx context.Context, j job) (outcome, error) {
	var at *shard // where Redis said to go; nil: to the master as we know it
	for try := 0; ; try++ {
		done, err := l.attempt(ctx, at, j)
		if err == nil {
			return done, nil
		}
		at, j.asking = nil, false
		if moved, ok := redis.IsMovedError(err); ok {
			at = l.shardAt(moved)
			l.reload()
		} else if asked, ok := redis.IsAskError(err); ok {
			at = l.shardAt(asked)
			j.asking = at != nil
		}
		switch {
		case at != nil && try < 4: // beyond that, nodes send us in a circle
			continue
		case redis.HasErrorPrefix(err, "NOSCRIPT ") && !j.whole:
			j.whole = true
			continue
		case !l.isPassing(err):
			return outcome{}, err
		case redis.HasErrorPrefix(err, "TRYAGAIN "):
			// The keys of this log are being moved, which is short.
			if !pause(ctx, min(try, 2)) {
				return outcome{}, err
			}
			continue
		}
		l.reload()
		if !pause(ctx, try) {
			return outcome{}, err
		}
	}
}

// attempt sends a job once.
func (l *RedisLog) attempt(ctx context.Context, at *shard, j job) (outcome, error) {
	if at == nil {
		var err error
		if at, err = l.shardOf(ctx, j.log); err != nil {
			return outcome{}, err
		}
	}
	deadline, _ := ctx.Deadline()
	j.until = deadline
	j.done = make(chan outcome, 1)
	at.submit(&j)
	select {
	case done := <-j.done:
		return done, done.err
	case <-ctx.Done():
		return outcome{}, ctx.Err()
	}
}
