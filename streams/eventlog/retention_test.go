package eventlog

import (
	"testing"
	"time"
)

// The audit of keys is an internal log. People look things up in it long after
// the merchants' events are gone.
func TestInternalLogsOutliveTheOthers(t *testing.T) {
	short := Retention{Age: 100 * time.Millisecond, Events: 2}
	for name, l := range map[string]Log{
		"memory":     NewMemoryLog(MemoryOptions{Retention: short}),
		"bolt":       openBolt(t, newBoltPath(t), BoltOptions{Retention: short}),
		"standalone": openRedis(t, RedisOptions{Addrs: []string{standaloneAddr(t)}, Durability: BestEffort, Retention: short}),
	} {
		t.Run(name, func(t *testing.T) {
			ids := make(map[string][]ID)
			for _, log := range []string{"_control", "acme"} {
				ids[log] = mustAppend(t, l, log, newEvents(5)...)
			}
			time.Sleep(2 * short.Age)
			if redis, ok := l.(*RedisLog); ok {
				if err := redis.sweepOnce(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := mustBounds(t, l, "_control").Oldest, ids["_control"][0]; got != want {
				t.Errorf("the oldest of the internal log is %s, want %s", got, want)
			}
			if got := mustBounds(t, l, "acme"); !got.Oldest.IsZero() || got.Head != ids["acme"][4] {
				t.Errorf("a merchant's log has the bounds %+v, want it empty", got)
			}
		})
	}
}
