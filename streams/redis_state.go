package streams

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"
)

// State implements [Log].
func (l *RedisLog) State(ctx context.Context, log string) (State, error) {
	k := keysOf(log)
	var reply []any
	err := l.query(ctx, log, func(ctx context.Context) (err error) {
		reply, err = stateScript.Run(ctx, l.client, []string{k.log, k.head, k.states}).Slice()
		return err
	})
	if err != nil {
		return State{}, err
	}
	if len(reply) != 4 {
		return State{}, refusal(log, "a state of another shape")
	}
	v, err := readView(log, []any{nil, reply[1], reply[2], nil, reply[3]})
	if err != nil {
		return State{}, err
	}
	if v.bounds.Head.IsZero() {
		b, err := l.Bounds(ctx, log) // makes the origin
		return State{Head: b.Head}, err
	}
	s := State{Head: v.bounds.Head}
	values, _ := reply[0].([]any)
	oldest := l.now().Add(-l.retention.State)
	for _, value := range values {
		text, _ := value.(string)
		if text == "" {
			continue // the mark that keeps the key there
		}
		e, err := readState(text)
		if err != nil {
			return State{}, refusal(log, "a state that is not ours")
		}
		if !e.ID.Time().Before(oldest) {
			s.Entries = append(s.Entries, e)
		}
	}
	slices.SortFunc(s.Entries, func(a, b Entry) int { return a.ID.Compare(b.ID) })
	return s, nil
}

// readState reads what the append script keeps of an event that is a state: its
// position and fields, each with its length before it.
func readState(text string) (Entry, error) {
	var fields [10]string
	for i := range fields {
		digits, rest, ok := strings.Cut(text, ":")
		n, err := strconv.Atoi(digits)
		if !ok || err != nil || n < 0 || n > len(rest) {
			return Entry{}, errForeign
		}
		fields[i], text = rest[:n], rest[n:]
	}
	id, err := ParseID(fields[0])
	if err != nil || text != "" {
		return Entry{}, errForeign
	}
	return Entry{ID: id, Event: Event{
		ID: fields[1], Source: fields[2], Type: fields[3], Subject: fields[4], Time: fields[5],
		Merchant: fields[6], DataSchema: fields[7], Extensions: bytesOf(fields[8]), Data: bytesOf(fields[9]),
		State: true,
	}}, nil
}

// What the append script is told of an event's state.
const (
	noState     = ""
	stateIs     = "s"
	stateIsGone = "x"
)

// stateMark returns what becomes of the event's state when it is appended.
func (e *Event) stateMark() string {
	switch {
	case !e.State:
		return noState
	case e.gone():
		return stateIsGone
	}
	return stateIs
}

// stateLife is how long the states of a log are kept after the last change of
// one: somewhat longer than each of them counts.
func (r Retention) stateLife() time.Duration { return r.State + time.Hour }
