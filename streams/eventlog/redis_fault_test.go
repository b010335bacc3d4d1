package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/redistest"
)

func TestRedisKilledMasterLosesNothingAccepted(t *testing.T) {
	c, l := redistest.Shared(t), openCluster(t)
	log := newName()
	d := startLoad(t, l, log)
	d.await(100)
	master := c.Master(keysOf(log).log)
	master.Kill()
	c.AwaitMaster(keysOf(log).log, master)
	master.Restart()
	d.await(100)
	d.finish()
	c.AwaitHealthy()
}

func TestRedisPlannedFailoverLosesAndRepeatsNothing(t *testing.T) {
	c, l := redistest.Shared(t), openCluster(t)
	log := newName()
	d := startLoad(t, l, log)
	d.await(100)
	c.Failover(c.Replica(c.Master(keysOf(log).log)))
	d.await(100)
	d.finish()
	d.wantNoGap()
	c.AwaitHealthy()
}

func TestRedisSlotMigrationLosesAndRepeatsNothing(t *testing.T) {
	c, l := redistest.Shared(t), openCluster(t)
	log := newName()
	from := c.Master(keysOf(log).log)
	to := otherMaster(t, c, from)
	d := startLoad(t, l, log)
	d.await(100)
	for range 3 {
		c.MigrateSlot(keysOf(log).log, to)
		d.await(50)
		c.MigrateSlot(keysOf(log).log, from)
		d.await(50)
	}
	d.finish()
	d.wantNoGap()
	c.AwaitHealthy()
}

func otherMaster(t *testing.T, c *redistest.Cluster, not *redistest.Node) *redistest.Node {
	t.Helper()
	for _, n := range c.Nodes() {
		if role, _ := n.Do("ROLE").([]any); n != not && len(role) > 0 && role[0] == "master" {
			return n
		}
	}
	t.Fatal("there is no other master")
	return nil
}

// A log answers before and after its keys move, while the rest of the slot
// still has to move. All keys that the script names exist, so Redis does not
// say TRYAGAIN until the last key has moved.
func TestRedisAppendsWhileASlotMoves(t *testing.T) {
	c, l := redistest.Shared(t), openCluster(t)
	log := newName()
	k := keysOf(log)
	ids := mustAppend(t, l, log, newEvent("before"))
	from := c.Master(k.log)
	to := otherMaster(t, c, from)
	slot := redistest.Slot(k.log)
	to.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", from.Do("CLUSTER", "MYID"))
	from.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", to.Do("CLUSTER", "MYID"))
	defer c.AwaitHealthy()
	defer c.MigrateSlot(k.log, from)
	defer c.MigrateSlot(k.log, to)

	ids = append(ids, mustAppend(t, l, log, newEvents(3)...)...)
	if got := idsOf(mustReadAll(t, l, log)); !slices.Equal(got, ids) {
		t.Errorf("before the keys move: read %v, want %v", got, ids)
	}
	host, port, _ := net.SplitHostPort(to.Addr())
	move := []any{"MIGRATE", host, port, "", 0, 5000, "KEYS", k.log, k.head}
	for i := range 4 {
		move = append(move, k.duplicates+strconv.Itoa(i))
	}
	from.Do(move...)
	ids = append(ids, mustAppend(t, l, log, newEvent("after"))...)
	if got := idsOf(mustReadAll(t, l, log)); !slices.Equal(got, ids) {
		t.Errorf("after they moved: read %v, want %v", got, ids)
	}
	if moved, _, err := l.Moved(t.Context(), map[string]ID{log: ids[0]}); err != nil || !slices.Equal(moved, []string{log}) {
		t.Errorf("after they moved: moved %v, %v; want %q", moved, err, log)
	}
}

// The test writes more than the sockets to the replica can hold. Otherwise the
// kernel would deliver everything after the master's death, and nothing would
// be lost.
func TestRedisFailoverThatLosesEventsIsTold(t *testing.T) {
	c, l := redistest.Shared(t), openCluster(t)
	log := newName()
	kept := mustAppend(t, l, log, newEvents(5)...)
	master := c.Master(keysOf(log).log)
	replica := c.Replica(master)
	replica.Pause()

	var mu sync.Mutex
	var lost []ID
	var writers sync.WaitGroup
	for w := range 40 {
		writers.Go(func() {
			events := make([]Event, 4)
			for i := range events {
				events[i] = newEvent(fmt.Sprintf("lost %d %d", w, i))
				events[i].Data = bytes.Repeat([]byte("x"), 256<<10-512)
			}
			receipts, err := l.Append(t.Context(), log, events)
			if err != nil && !errors.Is(err, ErrUnavailable) {
				t.Errorf("append: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, r := range receipts {
				if !errors.Is(r.Err, ErrNotReplicated) {
					t.Errorf("receipt %+v of an event that no replica has", r)
				}
				lost = append(lost, r.ID)
			}
		})
	}
	writers.Wait()
	if len(lost) == 0 {
		t.Fatal("the master took nothing")
	}
	slices.SortFunc(lost, ID.Compare)
	master.Kill()
	replica.Resume()
	c.AwaitMaster(keysOf(log).log, master)
	master.Restart()
	c.AwaitHealthy()

	if gap := mustGap(t, l, log, lost[len(lost)-1]); gap.Reason != RolledBack {
		t.Errorf("after a lost position: %+v, want %s", gap, RolledBack)
	}
	after := mustAppend(t, l, log, newEvent("after"))
	if gap := mustGap(t, l, log, lost[len(lost)-1]); gap.Reason != RolledBack || gap.Bounds.Head != after[0] {
		t.Errorf("after a lost position, later: %+v, want %s with head %s", gap, RolledBack, after[0])
	}
	got := idsOf(mustReadAll(t, l, log))
	if !slices.Equal(got[:5], kept) || got[len(got)-1] != after[0] {
		t.Errorf("the log is %v, want it to begin with %v and end with %s", got, kept, after[0])
	}
}

func TestRedisFrozenReplicaMeansNotReplicated(t *testing.T) {
	c, l := redistest.Shared(t), openCluster(t)
	log := newName()
	mustAppend(t, l, log, newEvent("before"))
	replica := c.Replica(c.Master(keysOf(log).log))
	replica.Pause()
	start := time.Now()
	receipts, err := l.Append(t.Context(), log, newEvents(1))
	if err != nil || !errors.Is(receipts[0].Err, ErrNotReplicated) {
		t.Errorf("with a frozen replica: %+v, %v; want ErrNotReplicated", receipts, err)
	}
	again, err := l.Append(t.Context(), log, newEvents(1))
	if err != nil || !errors.Is(again[0].Err, ErrNotReplicated) || again[0].ID != receipts[0].ID {
		t.Errorf("again: %+v, %v; want ErrNotReplicated for the same position", again, err)
	}
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("two answers took %v", d)
	}
	replica.Resume()
	c.AwaitHealthy()
	again, err = l.Append(t.Context(), log, newEvents(1))
	if err != nil || again[0] != (Receipt{ID: receipts[0].ID, Duplicate: true}) {
		t.Errorf("after it thawed: %+v, %v; want the same position, %s", again, err, receipts[0].ID)
	}
}

// The message is in the log after the first try, which only lacks a confirmation.
func TestRedisMessageOfAChannelIsAppendedOnce(t *testing.T) {
	c, l := redistest.Shared(t), openCluster(t)
	log := newName()
	mustAppend(t, l, log, newEvent("first"))
	replica := c.Replica(c.Master(keysOf(log).log))
	replica.Pause()
	time.AfterFunc(2*time.Second, replica.Resume)
	defer c.AwaitHealthy()
	made := 0
	l.takeMessage(t.Context(), &Intake{
		Message: func(context.Context, string, string) (string, Event, error) {
			made++
			return log, newEvent(fmt.Sprint("message ", made)), nil
		},
		Refused: func(_ string, reason error) { t.Errorf("the message was refused: %v", reason) },
	}, &redis.Message{Channel: "shop", Payload: "{}"})
	if got := mustReadAll(t, l, log); len(got) != 2 || made != 1 {
		t.Errorf("the log has %d events, want 2; the message was made into %d, want 1", len(got), made)
	}
}

func TestRedisFrozenMasterIsAnsweredInTime(t *testing.T) {
	c, l := redistest.Shared(t), openCluster(t)
	log := newName()
	mustAppend(t, l, log, newEvent("before"))
	master := c.Master(keysOf(log).log)
	master.Pause()
	var callers sync.WaitGroup
	for i := range 20 {
		callers.Go(func() {
			start := time.Now()
			_, err := l.Append(t.Context(), log, []Event{newEvent(fmt.Sprint(i))})
			if d := time.Since(start); !errors.Is(err, ErrUnavailable) || d > 1500*time.Millisecond {
				t.Errorf("with a frozen master: %v after %v, want ErrUnavailable within 1.5 s", err, d)
			}
		})
	}
	callers.Wait()
	master.Resume()
	c.AwaitHealthy()
	d := startLoad(t, l, newName())
	d.await(20)
	d.finish()
}
