package eventlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/paylogic/pushserver/internal/redistest"
)

func TestRedisOfAnotherLayoutIsRefused(t *testing.T) {
	node := redistest.StartStandalone(t)
	node.Do("SET", layoutKey, "64")
	_, err := OpenRedisLog(t.Context(), RedisOptions{Addrs: []string{node.Addr()}})
	if err == nil || !containsAll(err.Error(), `"64"`, layout, layoutKey) {
		t.Errorf("opened with %v, want an error with both layouts", err)
	}
}

func TestRedisThatIsAwayIsUnavailable(t *testing.T) {
	node := redistest.StartStandalone(t)
	l := openRedis(t, RedisOptions{Addrs: []string{node.Addr()}, Durability: BestEffort})
	node.Kill()
	if _, err := l.Append(t.Context(), "acme", newEvents(1)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("append: %v, want ErrUnavailable", err)
	}
	if _, err := l.Read(t.Context(), "acme", originOf(newTag()), 1); !errors.Is(err, ErrUnavailable) {
		t.Errorf("read: %v, want ErrUnavailable", err)
	}
	if err := l.Check(t.Context()); !errors.Is(err, ErrUnavailable) || strings.Contains(err.Error(), node.Addr()) {
		t.Errorf("check: %v, want ErrUnavailable without an address", err)
	}
	if _, err := OpenRedisLog(t.Context(), RedisOptions{Addrs: []string{node.Addr()}}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("open: %v, want ErrUnavailable", err)
	}
	node.Restart()
	mustAppend(t, l, "acme", newEvent("after"))
}

func TestRedisCheckSaysWhatToSet(t *testing.T) {
	c, l := redistest.Shared(t), openCluster(t)
	if err := l.Check(t.Context()); err != nil {
		t.Errorf("a healthy cluster: %v", err)
	}
	master := c.Master(bellKey(0))
	for setting, values := range map[string][2]string{
		"maxmemory-policy": {"allkeys-lru", "noeviction"},
		"appendonly":       {"no", "yes"},
	} {
		master.Do("CONFIG", "SET", setting, values[0])
		err := l.Check(t.Context())
		master.Do("CONFIG", "SET", setting, values[1])
		if err == nil || !containsAll(err.Error(), setting, values[1]) || strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("%s %s: %v, want an error that names it and %s, and no address", setting, values[0], err, values[1])
		}
	}

	node := redistest.StartStandalone(t)
	alone := RedisOptions{Addrs: []string{node.Addr()}}
	if err := openRedis(t, alone).Check(t.Context()); err == nil || !containsAll(err.Error(), "replica") {
		t.Errorf("a Redis without replica: %v, want an error that says so", err)
	}
	alone.Durability = BestEffort
	if err := openRedis(t, alone).Check(t.Context()); err != nil {
		t.Errorf("the same with best effort: %v", err)
	}
}

func TestRedisOutOfMemoryRefusesEventsAndIsRead(t *testing.T) {
	node := redistest.StartStandalone(t)
	l := openRedis(t, RedisOptions{Addrs: []string{node.Addr()}, Durability: BestEffort})
	ids := mustAppend(t, l, "acme", newEvents(3)...)
	node.Do("CONFIG", "SET", "maxmemory", "1")
	if _, err := l.Append(t.Context(), "acme", []Event{newEvent("more")}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("append: %v, want ErrUnavailable", err)
	}
	if got := mustReadAll(t, l, "acme"); len(got) != len(ids) {
		t.Errorf("%d entries, want %d", len(got), len(ids))
	}
	node.Do("CONFIG", "SET", "maxmemory", "0")
	mustAppend(t, l, "acme", newEvent("more"))
}

func TestRedisClosedLogFailsAtOnce(t *testing.T) {
	l := openCluster(t)
	l.Close()
	if _, err := l.Append(t.Context(), newName(), newEvents(1)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("append: %v, want ErrUnavailable", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

func TestPasswordIsNotPrinted(t *testing.T) {
	const secret = "hunter2"
	o := RedisOptions{Username: "gateway", Password: secret}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("open", "options", o, "password", o.Password)
	slog.New(slog.NewTextHandler(&log, nil)).Info("open", "options", o, "password", o.Password)
	text, _ := json.Marshal(o.Password)
	log.Write(text)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&log, format, o)
		fmt.Fprintf(&log, format, o.Password)
	}
	if got := log.String(); strings.Contains(got, secret) || strings.Contains(got, fmt.Sprintf("%x", secret)) {
		t.Errorf("the password is in %s", got)
	}
}

func TestPartitionOfALogNeverChanges(t *testing.T) {
	for log, want := range map[string]int{"acme": 47, "acme.test": 47, "globex": 14, "_control": 35} {
		if got := partitionOf(log); got != want {
			t.Errorf("partition of %q is %d, want %d: every log would be looked for in the wrong place", log, got, want)
		}
	}
}
