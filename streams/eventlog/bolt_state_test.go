package eventlog

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestBoltStateOutlivesTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openBolt(t, newBoltPath(t), BoltOptions{Retention: Retention{Age: time.Hour, State: 24 * time.Hour}})
		log := newName()
		early := mustAppend(t, l, log, newState("0", "a", "0"), newState("1", "b", "1"))
		time.Sleep(12 * time.Hour)
		if got := mustReadAll(t, l, log); len(got) > 0 {
			t.Errorf("%d entries are retained, want none", len(got))
		}
		wantState(t, l, log, early...)
		late := mustAppend(t, l, log, newState("2", "c", "2"))
		time.Sleep(12*time.Hour + time.Second)
		wantState(t, l, log, late...)
		time.Sleep(mostSweep)
		if states, things := stored(t, l, boltStates, log), stored(t, l, boltThings, log); states != 1 || things != 1 {
			t.Errorf("%d entries of %d things are stored, want 1 of each", states, things)
		}
		time.Sleep(24 * time.Hour)
		wantState(t, l, log)
	})
}
