//go:build unix

package eventlog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

// limitFiles keeps files of this process from growing beyond size bytes until
// lift is called. It imitates a full disk without the right to mount one.
func limitFiles(t *testing.T, size int64) (lift func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	limited := before
	limited.Cur = uint64(size)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limited); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Error(err)
		}
	}
}

func TestBoltFullDiskRefusesEventsAndRecovers(t *testing.T) {
	path := newBoltPath(t)
	l := openBolt(t, path, BoltOptions{})
	logs := []string{newName(), newName()}
	large := func(id string) Event {
		e := newEvent(id)
		e.Data = bytes.Repeat([]byte("x"), 1<<20)
		return e
	}
	accepted := make(map[string][]ID)
	for _, log := range logs {
		accepted[log] = mustAppend(t, l, log, newEvents(3)...)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}

	lift := limitFiles(t, info.Size())
	for round := range 3 {
		var callers sync.WaitGroup
		for i, log := range logs {
			callers.Go(func() {
				_, err := l.Append(t.Context(), log, []Event{large(fmt.Sprint("large ", i))})
				if !errors.Is(err, ErrUnavailable) {
					t.Errorf("append to a full disk: %v, want ErrUnavailable", err)
				}
			})
		}
		callers.Wait()
		// Writes that fit into the file still succeed.
		for _, log := range logs {
			accepted[log] = append(accepted[log], mustAppend(t, l, log, newEvent("small "+strconv.Itoa(round)))...)
		}
		for _, log := range logs {
			if got := idsOf(mustReadAll(t, l, log)); !slices.Equal(got, accepted[log]) {
				t.Errorf("%s has %v, want what was accepted, %v", log, got, accepted[log])
			}
		}
	}
	if _, err := l.Append(t.Context(), logs[0], []Event{large("last")}); err == nil {
		t.Error("a large event was accepted")
	}
	if !l.failing.Load() {
		t.Error("the log does not know that it fails")
	}
	lift()
	if err := l.Check(t.Context()); err != nil {
		t.Errorf("check, with room again: %v", err)
	}
	for i, log := range logs {
		accepted[log] = append(accepted[log], mustAppend(t, l, log, large(fmt.Sprint("large ", i)))...)
	}
	l.Close()
	l = openBolt(t, path, BoltOptions{})
	for _, log := range logs {
		if got := idsOf(mustReadAll(t, l, log)); !slices.Equal(got, accepted[log]) {
			t.Errorf("opened again, %s has %v, want %v", log, got, accepted[log])
		}
	}
}
