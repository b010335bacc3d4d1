package streams

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/paylogic/pushserver/streams/eventlog"
)

// silentLog is a log whose storage does not answer.
type silentLog struct{ *eventlog.MemoryLog }

func (silentLog) Moved(_ context.Context, heads map[string]eventlog.ID) (moved, silent []string, err error) {
	return nil, slices.Collect(maps.Keys(heads)), nil
}

func TestComparisonNotesWhichLogsAreSilent(t *testing.T) {
	hub := newSilentHub(t)
	tails := silentTails(hub, 1_000)
	hub.compare(tails)
	for log, tail := range tails {
		if !tail.isSilent() {
			t.Fatalf("%s counts as answering", log)
		}
	}
}

// One goroutine compares all tails each second, and also wakes the stalled readers
// and ends the stuck ones. So the time per tail may not grow with their number.
func BenchmarkComparisonOfSilentTails(b *testing.B) {
	hub := newSilentHub(b)
	for _, n := range []int{2_000, 40_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			tails := silentTails(hub, n)
			for b.Loop() {
				hub.compare(tails)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/tail")
		})
	}
}

func newSilentHub(t testing.TB) *Hub {
	hub := NewHub(silentLog{eventlog.NewMemoryLog(eventlog.MemoryOptions{})}, Options{})
	t.Cleanup(func() { hub.Close() })
	return hub
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
