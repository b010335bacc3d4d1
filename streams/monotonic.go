package streams

import "time"

// monotonicOrigin lies before the start of the fake clock of testing/synctest.
var monotonicOrigin = time.Now().Add(-50 * 365 * 24 * time.Hour)

// monotonic returns the time since a fixed origin, which is more than 0. A wall
// clock that is set forward or back does not change it, so it measures waits and
// ages.
func monotonic() time.Duration { return time.Since(monotonicOrigin) }
