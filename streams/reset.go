package streams

import (
	"context"

	"github.com/paylogic/pushserver/streams/eventlog"
)

// A Reset tells a client that it may have missed events. The client forgets what
// it holds. Every retained event from ResumeFrom on follows.
type Reset struct {
	Reason     eventlog.Reason
	Requested  string      // the position or time that the client asked for, shortened if long
	ResumeFrom eventlog.ID // the first event that follows, or the head if there is none
	Oldest     eventlog.ID // the oldest retained event; zero if there is none
	After      eventlog.ID // reading after this position returns ResumeFrom first
}

// MarshalJSON returns the data of stream.reset.
func (r Reset) MarshalJSON() ([]byte, error) {
	b := append([]byte(`{"reason":`), appendString(nil, string(r.Reason))...)
	b = append(b, `,"requested":`...)
	b = appendString(b, r.Requested)
	b = append(b, `,"resume_from":"`...)
	b = r.ResumeFrom.Append(b)
	b = append(b, '"')
	if !r.Oldest.IsZero() {
		b = append(b, `,"oldest":"`...)
		b = r.Oldest.Append(b)
		b = append(b, '"')
	}
	return append(b, '}'), nil
}

// requestedMax bounds what a reset repeats of a client's own text.
const requestedMax = 64

func excerpt(s string) string {
	if len(s) > requestedMax {
		return s[:requestedMax] + "..."
	}
	return s
}

// resetFor returns what a reader at cursor is told of a gap.
func resetFor(ctx context.Context, log eventlog.Log, name string, cursor eventlog.ID, gap *eventlog.Gap) (*Reset, error) {
	bounds := gap.Bounds
	r := &Reset{Reason: gap.Reason, Requested: cursor.String(), ResumeFrom: bounds.Oldest, Oldest: bounds.Oldest}
	r.After = bounds.Floor()
	switch {
	case gap.Reason == eventlog.Unknown, gap.Reason == eventlog.RolledBack && cursor.Time().After(bounds.Head.Time().Add(eventlog.RollbackReach)):
		r.After, r.ResumeFrom = bounds.Head, bounds.Head
	case gap.Reason == eventlog.RolledBack:
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		var err error
		r.After, r.ResumeFrom, err = log.Seek(ctx, name, cursor.Time().Add(-eventlog.RollbackReach))
		if err != nil {
			return nil, err
		}
	}
	if r.ResumeFrom.IsZero() {
		r.ResumeFrom = r.After
	}
	return r, nil
}
