package streams

import (
	"cmp"
	"time"
)

// Defaults of a [Retention] and of the duplicate window.
const (
	DefaultAge             = 24 * time.Hour
	DefaultEvents          = 100_000
	DefaultDuplicateWindow = time.Hour
)

// Retention says how long a log keeps an event: until it is older than Age or
// has Events newer ones, whichever comes first. A log may keep somewhat more.
// Zero fields stand for the defaults, 24 hours and 100,000 events.
type Retention struct {
	Age    time.Duration
	Events int
}

func (r Retention) orDefault() Retention {
	return Retention{
		Age:    cmp.Or(r.Age, DefaultAge),
		Events: cmp.Or(r.Events, DefaultEvents),
	}
}
