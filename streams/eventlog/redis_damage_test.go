package eventlog

import (
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/paylogic/pushserver/internal/redistest"
)

func TestRedisPoisonedLogHarmsItselfOnly(t *testing.T) {
	l := openCluster(t)
	for name, poison := range map[string]func(k keys){
		"the largest id": func(k keys) {
			mustDo(t, l, "XADD", k.log, "18446744073709551615-18446744073709551615", "x", "y")
		},
		"a log that is a string":    func(k keys) { mustDo(t, l, "SET", k.log, "x") },
		"a head that is a string":   func(k keys) { mustDo(t, l, "SET", k.head, "x") },
		"a head that is not ours":   func(k keys) { mustDo(t, l, "HSET", k.head, "last", "x", "inc", "y") },
		"a bucket that is a string": func(k keys) { mustDo(t, l, "SET", k.duplicates+"0", "x") },
	} {
		t.Run(name, func(t *testing.T) {
			log := newName()
			neighbour := log + testSuffix // in the same partition and the same pipelines
			first := mustAppend(t, l, log, newEvent("before"))
			mustDo(t, l, "DEL", keysOf(log).duplicates+"0")
			for _, key := range []string{keysOf(log).log, keysOf(log).head} {
				if name != "the largest id" {
					mustDo(t, l, "DEL", key)
				}
			}
			poison(keysOf(log))

			done := make(chan []ID)
			go func() {
				var ids []ID
				for i := range 20 {
					ids = append(ids, mustAppend(t, l, neighbour, newEvent(strconv.Itoa(i)))...)
				}
				done <- ids
			}()
			harmed := false
			for range 20 {
				receipts, err := l.Append(t.Context(), log, newEvents(2))
				for _, r := range receipts {
					err = errors.Join(err, r.Err)
				}
				harmed = harmed || errors.Is(err, ErrDamaged)
				if errors.Is(err, ErrUnavailable) {
					t.Errorf("append: %v, want ErrDamaged and nothing else", err)
				}
			}
			_, err := l.Read(t.Context(), log, first[0], 10)
			harmed = harmed || errors.Is(err, ErrDamaged)
			if !harmed {
				t.Error("neither append nor read said that the log is damaged")
			}
			want := <-done
			if got := idsOf(mustReadAll(t, l, neighbour)); !slices.Equal(got, want) {
				t.Errorf("the neighbour has %v, want %v", got, want)
			}
			if _, _, err := l.Moved(t.Context(), map[string]ID{log: first[0], neighbour: {}}); err != nil {
				t.Errorf("moved: %v", err)
			}
		})
	}
}

func TestRedisForeignEntryIsDamage(t *testing.T) {
	l := openCluster(t)
	log := newName()
	ids := mustAppend(t, l, log, newEvents(2)...)
	mustDo(t, l, "XADD", keysOf(log).log, "*", "type", "payment.succeeded")
	if b, err := l.Read(t.Context(), log, ids[0], 10); !errors.Is(err, ErrDamaged) {
		t.Errorf("read: %+v, %v; want ErrDamaged", b, err)
	}
}

func TestRedisEntriesDeletedInTheMiddleAreTold(t *testing.T) {
	l := openCluster(t)
	log := newName()
	ids := mustAppend(t, l, log, newEvents(6)...)
	mustDo(t, l, "XDEL", keysOf(log).log, ids[3].stamp())
	if got := idsOf(mustRead(t, l, log, ids[0], 10)); !slices.Equal(got, ids[1:3]) {
		t.Errorf("after the first: %v, want what precedes the hole, %v", got, ids[1:3])
	}
	gap := mustGap(t, l, log, ids[2])
	if gap.Reason != Trimmed || gap.Bounds.Oldest != ids[4] || gap.Bounds.Prev != ids[3] {
		t.Errorf("before the hole: %+v, want %s with the entry behind the hole as the oldest", gap, Trimmed)
	}
	if got := idsOf(mustRead(t, l, log, gap.Bounds.Floor(), 10)); !slices.Equal(got, ids[4:]) {
		t.Errorf("behind the hole: %v, want %v", got, ids[4:])
	}
}

func TestRedisLogGoesOnAfterItsHead(t *testing.T) {
	l := openCluster(t)
	for name, last := range map[string]string{
		"a head of now":                       "",
		"a head in the future":                "99999999999999-7-abcde",
		"a head beyond what Lua counts to":    "9007199254740993000-18446744073709551615-abcde",
		"a head with a number before its end": "99999999999999-18446744073709551614-abcde",
	} {
		t.Run(name, func(t *testing.T) {
			log := newName()
			k := keysOf(log)
			mustAppend(t, l, log, newEvents(2)...)
			if last != "" {
				mustDo(t, l, "HSET", k.head, "last", last)
			}
			head := mustBounds(t, l, log).Head
			mustDo(t, l, "DEL", k.log)
			ids := mustAppend(t, l, log, newEvent("a"), newEvent("b"))
			if ids[0].Compare(head) <= 0 || ids[1].Compare(ids[0]) <= 0 {
				t.Errorf("positions %v, want them after %s", ids, head)
			}
			if got := idsOf(mustRead(t, l, log, head, 10)); !slices.Equal(got, ids) {
				t.Errorf("after the head: %v, want %v", got, ids)
			}
		})
	}
}

func TestRedisLogWithoutHeadGoesOnInOneChain(t *testing.T) {
	l := openCluster(t)
	log := newName()
	ids := mustAppend(t, l, log, newEvents(2)...)
	mustDo(t, l, "DEL", keysOf(log).head)
	if b := mustBounds(t, l, log); b.Head != ids[1] || b.Origin.IsZero() {
		t.Errorf("bounds %+v, want the newest entry, %s, as head", b, ids[1])
	}
	ids = append(ids, mustAppend(t, l, log, newEvent("after"))...)
	if got := idsOf(mustReadAll(t, l, log)); !slices.Equal(got, ids) {
		t.Errorf("read %v, want %v", got, ids)
	}
}

func TestRedisForgottenScriptsAreLoadedAgain(t *testing.T) {
	c, l := redistest.Shared(t), openCluster(t)
	log := newName()
	ids := mustAppend(t, l, log, newEvent("before"))
	for _, n := range c.Nodes() {
		n.Do("SCRIPT", "FLUSH")
	}
	ids = append(ids, mustAppend(t, l, log, newEvent("after"))...)
	for _, n := range c.Nodes() {
		n.Do("SCRIPT", "FLUSH")
	}
	if got := mustBounds(t, l, log).Head; got != ids[1] {
		t.Errorf("head %s, want %s", got, ids[1])
	}
}

func TestRedisRetentionTrims(t *testing.T) {
	c := redistest.Shared(t)
	short := openRedis(t, RedisOptions{Addrs: c.Addrs(), Retention: Retention{Events: 100}})
	log := newName()
	var ids []ID
	for i := range 10 {
		events := make([]Event, 100)
		for k := range events {
			events[k] = newEvent(strconv.Itoa(i*100 + k))
		}
		ids = append(ids, mustAppend(t, short, log, events...)...)
	}
	got := idsOf(mustReadAll(t, short, log))
	if len(got) < 100 || len(got) > 300 || !slices.Equal(got, ids[1000-len(got):]) {
		t.Errorf("%d entries, want the newest 100 and not many more", len(got))
	}

	aging := openRedis(t, RedisOptions{Addrs: c.Addrs(), Retention: Retention{Age: time.Millisecond}})
	for mustAppend(t, aging, log, newEvent(string(newTagText())))[0].ms < ids[999].ms+200 {
	}
	if oldest := mustBounds(t, aging, log).Oldest; oldest.Compare(ids[999]) <= 0 {
		t.Errorf("the oldest entry is %s, want those of another age gone", oldest)
	}
}

func newTagText() []byte { tag := newTag(); return tag[:] }

func TestRedisDuplicateWindowEnds(t *testing.T) {
	l := openRedis(t, RedisOptions{Addrs: redistest.Shared(t).Addrs(), DuplicateWindow: time.Hour})
	start := time.Now().Truncate(time.Hour)
	log := newName()
	at := func(d time.Duration) Receipt {
		t.Helper()
		l.now = func() time.Time { return start.Add(d) }
		receipts, err := l.Append(t.Context(), log, newEvents(1))
		if err != nil || receipts[0].Err != nil {
			t.Fatalf("after %v: %+v, %v", d, receipts, err)
		}
		return receipts[0]
	}
	first := at(29 * time.Minute)
	for _, d := range []time.Duration{0, 29, 30, 45, 60, 89} { // 0: a gateway whose clock is behind
		if got := at(d * time.Minute); got != (Receipt{ID: first.ID, Duplicate: true}) {
			t.Errorf("after %v minutes: %+v, want a duplicate of %s", int(d), got, first.ID)
		}
	}
	second := at(3 * time.Hour)
	if second.Duplicate || second.ID == first.ID {
		t.Errorf("after the window: %+v, want a new position", second)
	}
	if got := at(3*time.Hour + time.Minute); got != (Receipt{ID: second.ID, Duplicate: true}) {
		t.Errorf("in the second window: %+v, want a duplicate of %s", got, second.ID)
	}
	if ttl := mustDo(t, l, "PTTL", keysOf(log).duplicates+strconv.FormatInt(start.Add(3*time.Hour).UnixNano()/int64(30*time.Minute)%4, 10)); ttl.(int64) <= 0 {
		t.Errorf("a bucket's time to live is %v, want it to expire", ttl)
	}
}

func TestRedisBellsRingAfterABellIsMadeAnew(t *testing.T) {
	l := openCluster(t)
	log := newName()
	rang := make(chan string, 1000)
	tail := bellTail{log: l, key: bellKey(partitionOf(log)), ring: func(log string) { rang <- log }}
	mustDo(t, l, "XADD", tail.key, "99999999999999-0", "x", "")
	next := func() {
		t.Helper()
		if err := tail.next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	next() // finds the end, far in the future
	mustDo(t, l, "DEL", tail.key)
	mustAppend(t, l, log, newEvent("unheard"))
	next() // reads nothing, and moves back
	mustAppend(t, l, log, newEvent("heard"))
	next()
	select {
	case got := <-rang:
		if got != log {
			t.Errorf("the bell rang for %q, want %q", got, log)
		}
	default:
		t.Error("the bell did not ring")
	}
}

func TestRedisIdleLogsAreSweptAndTheirHeadStaysProof(t *testing.T) {
	l := openRedis(t, RedisOptions{Addrs: redistest.Shared(t).Addrs(), Retention: Retention{Age: time.Hour}})
	log := newName()
	head := mustAppend(t, l, log, newEvents(300)...)[299]
	l.now = func() time.Time { return time.Now().Add(25 * time.Hour) } // this machine's clock trims nothing
	if err := l.sweepOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(mustReadAll(t, l, log)); got != 300 {
		t.Errorf("%d events are left of 300 that are not old", got)
	}
	time.Sleep(20 * time.Millisecond)
	l.retention.Age = 10 * time.Millisecond
	if err := l.sweepOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := mustDo(t, l, "XLEN", keysOf(log).log); n != int64(0) {
		t.Errorf("%v events are left of a log that has been idle for longer than its retention", n)
	}
	if got := mustRead(t, l, log, head, 10); len(got) != 0 {
		t.Errorf("after the head there is %v", got)
	}
}
