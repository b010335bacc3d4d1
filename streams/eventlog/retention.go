package eventlog

import (
	"cmp"
	"strings"
	"time"
)

// Defaults of [Retention] and of the duplicate window.
const (
	DefaultAge             = 24 * time.Hour
	DefaultEvents          = 100_000
	DefaultState           = 30 * 24 * time.Hour
	DefaultDuplicateWindow = time.Hour
)

// InternalAge is the minimum age for the program's own logs, whose names begin
// with an underscore. Key changes are looked up long after they were made.
const InternalAge = 365 * 24 * time.Hour

// MaxStates bounds the states of one log. Beyond it, the oldest are removed.
const MaxStates = 100_000

// Retention says how long a log keeps an event: until it is older than Age, or
// until Events newer ones exist, whichever comes first. A log may keep somewhat
// more. States are kept apart, until they are older than State. Zero fields
// mean the defaults: 24 hours, 100,000 events and 30 days.
type Retention struct {
	Age    time.Duration
	Events int
	State  time.Duration
}

// of applies the exceptions for internal logs.
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
