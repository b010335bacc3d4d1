package streams

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"context"
	"math/rand/v2"
	"time"
)

// A Reset tells a client that it may have missed events: forget what you
// hold, everything retained from ResumeFrom on follows.
type Reset struct {
	Reason     eventlog.Reason
	Requested  string      // the position or time that was asked for, shortened if long
	ResumeFrom eventlog.ID // the first event that follows, or the head if there is none
	Oldest     eventlog.ID // the oldest retained event; zero if there is none
	After      eventlog.ID // the position to read after in order to get ResumeFrom first
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

// reset returns what a reader at cursor is told of a gap.
func (h *Hub) reset(ctx context.Context, log string, cursor eventlog.ID, gap *eventlog.Gap) (*Reset, error) {
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
		r.After, r.ResumeFrom, err = h.log.Seek(ctx, log, cursor.Time().Add(-eventlog.RollbackReach))
		if err != nil {
			return nil, err
		}
	}
	if r.ResumeFrom.IsZero() {
		r.ResumeFrom = r.After
	}
	return r, nil
}

// A Goodbye is the last event of a stream that the gateway ends. It is the
// cause of the end, too.
type Goodbye struct {
	Reason    string        // why, in a word: draining
	Reconnect bool          // whether it makes sense to come back
	Retry     time.Duration // after which time
}

// Error says why the subscription ended.
func (g Goodbye) Error() string { return "streams: goodbye: " + g.Reason }

// text returns the goodbye in a framing.
func (g Goodbye) text(f Framing) []byte {
	return f.control(eventlog.ID{}, "stream.goodbye", g.Retry, struct {
		Reason    string `json:"reason"`
		Reconnect bool   `json:"reconnect"`
		Retry     int64  `json:"retry_ms"`
	}{g.Reason, g.Reconnect, g.Retry.Milliseconds()})
}

// jitter returns a random time less than spread.
func jitter(spread time.Duration) time.Duration {
	if spread <= 0 {
		return 0
	}
	return rand.N(spread)
}
