package eventlog

import (
	"context"
	"slices"
	"time"
)

// First size of a page of states, because a script blocks its master while it
// runs.
const (
	statePage      = 1000
	statePageBytes = 1 << 20
)

// State implements [Log].
//
// It reads page by page, ordered by the time of positions. Unlike the order of
// HSCAN, a failover or a moving slot does not change this one. A state superseded
// meanwhile moves beyond Head, where the log has it.
func (l *RedisLog) State(ctx context.Context, log string) (State, error) {
	var s State
	var oldest time.Time
	seen := make(map[ID]bool)
	from, count, room := "-inf", statePage, statePageBytes
	for {
		page, err := l.statePage(ctx, log, from, count, room)
		if err != nil {
			return State{}, err
		}
		if s.Until = page.head; s.Head.IsZero() {
			s.Head, oldest = page.head, page.now.Add(-l.retention.State)
		}
		for _, e := range page.entries {
			if !seen[e.ID] && e.ID.Compare(s.Head) <= 0 {
				seen[e.ID] = true
				s.Entries = append(s.Entries, e)
			}
		}
		if !page.more {
			break
		}
		if page.last == from { // more states of one millisecond than a page has
			count, room = 2*count, 2*room
		}
		from = page.last
	}
	s.Entries = slices.DeleteFunc(s.Entries, func(e Entry) bool { return e.ID.Time().Before(oldest) })
	slices.SortFunc(s.Entries, func(a, b Entry) int { return a.ID.Compare(b.ID) })
	return s, nil
}

// A statesPage is one page of a log's states.
type statesPage struct {
	entries []Entry
	more    bool
	last    string // time of the last entry
	head    ID
	now     time.Time // of the node
}

func (l *RedisLog) statePage(ctx context.Context, log, from string, count, room int) (statesPage, error) {
	k := keysOf(log)
	var reply []any
	err := l.query(ctx, log, func(ctx context.Context) (err error) {
		reply, err = stateScript.Run(ctx, l.client, []string{k.log, k.head, k.states, k.ages}, from, count, room).Slice()
		return err
	})
	if err != nil {
		return statesPage{}, err
	}
	if len(reply) != 7 {
		return statesPage{}, refusal(log, "states of another shape")
	}
	v, err := readView(log, []any{nil, reply[3], reply[4], nil, reply[5]})
	if err != nil {
		return statesPage{}, err
	}
	p := statesPage{more: reply[1] == "1", head: v.bounds.Head}
	p.last, _ = reply[2].(string)
	now, _ := reply[6].(int64)
	p.now = time.UnixMilli(now)
	if p.head.IsZero() {
		b, err := l.Bounds(ctx, log) // makes the origin
		p.head = b.Head
		if err != nil {
			return statesPage{}, err
		}
	}
	values, _ := reply[0].([]any)
	for _, value := range values {
		text, _ := value.(string)
		e, err := readState(text)
		if err != nil {
			return statesPage{}, refusal(log, "a state of another layout")
		}
		p.entries = append(p.entries, e)
	}
	return p, nil
}

// What the append script does with an event's state.
const (
	noState     = ""
	stateIs     = "s"
	stateIsGone = "x"
)

func (e *Event) stateMark() string {
	switch {
	case !e.State:
		return noState
	case e.gone():
		return stateIsGone
	}
	return stateIs
}

func (e *Event) stateField() string {
	if !e.State {
		return ""
	}
	return e.Type + "\x00" + e.Subject
}

// stateLife is how long Redis keeps the states of a log after the last change:
// somewhat longer than the retention of each state.
func (r Retention) stateLife() time.Duration { return r.State + time.Hour }
