package eventlog

import (
	"context"
	"fmt"
)

// A boltEvent is an event to append, with everything that its publisher's
// goroutine can prepare before the transaction.
type boltEvent struct {
	entry  []byte // from encodeEvent; completeEntry adds the rest
	event  eventHash
	thing  eventHash // of a state-like type
	digest Digest
	tag    [tagLen]byte
	state  bool
	clears bool // it ends its thing's state
}

func prepareBolt(e *Event) boltEvent {
	p := boltEvent{
		entry:  encodeEvent(e),
		event:  hashPair(e.Source, e.ID),
		digest: e.Digest(),
		tag:    newTag(),
		state:  e.State,
	}
	if e.State {
		p.thing = hashPair(e.Type, e.Subject)
		p.clears = e.gone()
	}
	return p
}

// Append implements [Log]. It appends a batch in one transaction.
func (l *BoltLog) Append(ctx context.Context, log string, events []Event) ([]Receipt, error) {
	if len(events) == 0 {
		return nil, ctx.Err()
	}
	j := new(boltJob)
	prepared := make([]boltEvent, len(events))
	for i := range events {
		prepared[i] = prepareBolt(&events[i])
		j.size += len(prepared[i].entry)
	}
	receipts := make([]Receipt, len(events))
	j.do = func(w *boltWrite) error {
		into, err := w.open(log)
		if err != nil {
			return err
		}
		for i := range prepared {
			if receipts[i], err = into.append(&prepared[i]); err != nil {
				return err
			}
		}
		return into.trimSurplus()
	}
	if err := l.commit(ctx, j); err != nil {
		return nil, fmt.Errorf("log %q: %w", log, err)
	}
	return receipts, nil
}
