package streams

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/paylogic/pushserver/streams/eventlog"
)

// silentLog is a log whose storage does not answer.
type silentLog struct{ *eventlog.MemoryLog }

func (silentLog) Moved(_ context.Context, heads map[string]eventlog.ID) (moved, silent []string, err error) {
	return nil, slices.Collect(maps.Keys(heads)), nil
}

// One goroutine compares all tails each second, and also wakes the stalled readers
// and ends the stuck ones. So a comparison may cost no more than its tails.
func TestComparisonCostsAsMuchAsItsTails(t *testing.T) {
	hub := NewHub(silentLog{eventlog.NewMemoryLog(eventlog.MemoryOptions{})}, Options{})
	defer hub.Close()
	few, many := silentTails(hub, 2_000), silentTails(hub, 40_000)
	shortest := func(tails map[string]*tail) time.Duration {
		best := time.Hour
		for range 3 {
			began := time.Now()
			hub.compare(tails)
			best = min(best, time.Since(began))
		}
		return best
	}
	if ratio := float64(shortest(many)) / float64(shortest(few)); ratio > 200 {
		t.Errorf("20 times as many tails cost %.0f times as much", ratio)
	}
	for log, tail := range many {
		if !tail.isSilent() {
			t.Fatalf("%s counts as answering", log)
		}
	}
}

func silentTails(hub *Hub, n int) map[string]*tail {
	tails := make(map[string]*tail, n)
	for i := range n {
		log := fmt.Sprint("merchant", i)
		tails[log] = newTail(hub, log)
		close(tails[log].ready)
	}
	return tails
}
