package eventlog

import (
	"cmp"
	"strings"
	"time"
)

// Defaults of a [Retention] and of the duplicate window.
const (
	DefaultAge             = 24 * time.Hour
	DefaultEvents          = 100_000
	DefaultState           = 30 * 24 * time.Hour
	DefaultDuplicateWindow = time.Hour
)

// InternalAge is how long the program's own logs, whose names begin with an
// underscore, keep an event at least: the changes of keys are looked up long after
// they were made.
const InternalAge = 365 * 24 * time.Hour

// MaxStates is how many states a log keeps at most. Beyond it the oldest go.
const MaxStates = 100_000

// Retention says how long a log keeps an event: until it is older than Age or
// has Events newer ones, whichever comes first. A log may keep somewhat more.
// The newest event of a state-like type and a subject is kept apart from them
// until it is older than State. Zero fields stand for the defaults: 24 hours,
// 100,000 events and 30 days.
type Retention struct {
	Age    time.Duration
	Events int
	State  time.Duration
}

// of returns what holds for a log.
func (r Retention) of(log string) Retention {
	if strings.HasPrefix(log, "_") {
		r.Age, r.Events = max(r.Age, InternalAge), max(r.Events, DefaultEvents)
	}
	return r
}

func (r Retention) orDefault() Retention {
	return Retention{
		Age:    cmp.Or(r.Age, DefaultAge),
		Events: cmp.Or(r.Events, DefaultEvents),
		State:  cmp.Or(r.State, DefaultState),
	}
}
