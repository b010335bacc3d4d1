package api

import (
	"testing"
	"time"
)

// Streams that end together do not come back together.
func TestStaleStreamsComeBackAtDifferentTimes(t *testing.T) {
	const silence = time.Minute
	first, last := time.Hour, time.Duration(0)
	for range 1000 {
		retry := staleRetry(silence)
		first, last = min(first, retry), max(last, retry)
	}
	if first < 3*time.Second || last > 3*time.Second+silence/2 || last-first < silence/4 {
		t.Errorf("they come back within %v to %v", first, last)
	}
}
