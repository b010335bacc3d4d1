package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylogic/pushserver/api/keys"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams"
)

// A cuttable log is out of this gateway's reach when it is cut, and in that of
// others.
type cuttableLog struct {
	*eventlog.MemoryLog
	cut atomic.Bool
}

func (l *cuttableLog) err() error {
	if l.cut.Load() {
		return fmt.Errorf("cut: %w", eventlog.ErrUnavailable)
	}
	return nil
}

func (l *cuttableLog) Read(ctx context.Context, log string, after eventlog.ID, limit int) (eventlog.Batch, error) {
	if err := l.err(); err != nil {
		return eventlog.Batch{}, err
	}
	return l.MemoryLog.Read(ctx, log, after, limit)
}

func (l *cuttableLog) Bounds(ctx context.Context, log string) (eventlog.Bounds, error) {
	if err := l.err(); err != nil {
		return eventlog.Bounds{}, err
	}
	return l.MemoryLog.Bounds(ctx, log)
}

// newCutRig returns a rig over a log that can be cut, which waits so long for
// changes and vouches so long for streams.
func newCutRig(t *testing.T, wait, stale time.Duration) (*rig, *cuttableLog) {
	t.Helper()
	usualWait, usualStale := watchWait, staleAfter
	t.Cleanup(func() { watchWait, staleAfter = usualWait, usualStale }) // once the server is closed
	watchWait, staleAfter = wait, stale
	log := new(cuttableLog)
	r := startRig(t, eventlog.MemoryOptions{}, false, func(c *Config) {
		log.MemoryLog = c.Log.(*eventlog.MemoryLog)
		c.Log, c.Hub = log, streams.NewHub(log, streams.Options{Logger: c.Logger})
		t.Cleanup(func() { c.Hub.Close() })
	})
	return r, log
}

func TestAttack11RevocationThatCannotBeHeard(t *testing.T) {
	r, log := newCutRig(t, 300*time.Millisecond, 3*time.Second)
	made, err := keys.Registry{Store: r.store, Log: log.MemoryLog, By: auth.CLI}.
		Create(t.Context(), keys.Patch{"kind": []byte(`"live"`), "merchant": []byte(`"a"`)})
	if err != nil {
		t.Fatal(err)
	}
	v := r.watch(t, made.Key, "")
	v.next(t)
	log.cut.Store(true)
	cut := time.Now()
	e := v.next(t)
	if took := time.Since(cut); e.Type != "stream.goodbye" || !strings.Contains(string(e.Data), `"reason":"auth_stale"`) || took > staleAfter+1500*time.Millisecond {
		t.Errorf("%s after the cut the stream was told %s %s", took, e.Type, e.Data)
	}
	log.cut.Store(false)
	r.alive(t)
}

// A gateway that can hear of changes again vouches for its streams again at once.
func TestStreamsOutliveACutThatIsShortEnough(t *testing.T) {
	r, log := newCutRig(t, 4*time.Second, 5*time.Second)
	v := r.watch(t, r.a, "")
	v.next(t)
	time.Sleep(1500 * time.Millisecond) // into the wait of a look at the log
	log.cut.Store(true)
	time.Sleep(3 * time.Second)
	log.cut.Store(false)
	time.Sleep(4 * time.Second)
	r.publish(t, "a", "x.y", "1")
	for {
		e := v.next(t)
		if e.Type == "stream.goodbye" {
			t.Fatalf("the stream was ended: %s", e.Data)
		}
		if e.Type == "x.y" {
			return
		}
	}
}
