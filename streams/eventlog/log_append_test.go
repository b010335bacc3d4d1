package eventlog

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func testOrder(t *testing.T, l Log) {
	log := newName()
	var want []ID
	for i := range 20 {
		batch := make([]Event, i%4+1)
		for k := range batch {
			batch[k] = newEvent(fmt.Sprintf("%d-%d", i, k))
		}
		want = append(want, mustAppend(t, l, log, batch...)...)
	}
	if !slices.IsSortedFunc(want, ID.Compare) {
		t.Errorf("positions of receipts: %v, want them in order", want)
	}
	if got := idsOf(mustReadAll(t, l, log)); !slices.Equal(got, want) {
		t.Errorf("read %v, want the positions of the receipts, %v", got, want)
	}
	if got := mustBounds(t, l, log).Head; got != want[len(want)-1] {
		t.Errorf("head %s, want the last receipt's, %s", got, want[len(want)-1])
	}
}

func testFidelity(t *testing.T, l Log) {
	var every [256]byte
	for i := range every {
		every[i] = byte(i)
	}
	odd := newEvent("\x00\r\n\xff")
	odd.Source, odd.Type, odd.Subject = string(every[:]), "ä.{}", ""
	odd.Data, odd.Extensions, odd.DataSchema = every[:], []byte(`{"traceparent":"00-ab"}`), "urn:x"
	large := newEvent("large")
	large.Data = bytes.Repeat([]byte("0123456789abcdef"), 256<<10/16)
	bare := Event{ID: "bare", Source: "s", Type: "t", Merchant: "acme"}

	log := newName()
	want := []Event{odd, large, bare}
	mustAppend(t, l, log, want...)
	for i, e := range mustReadAll(t, l, log) {
		if fmt.Sprintf("%#v", e.Event) != fmt.Sprintf("%#v", want[i]) {
			t.Errorf("event %q came back as %.300v, want %.300v", want[i].ID, e.Event, want[i])
		}
	}
}

func testDuplicates(t *testing.T, l Log) {
	log := newName()
	first := mustAppend(t, l, log, newEvents(3)...)
	again := newEvents(5)
	again[1].Time = "2026-11-23T04:00:00Z" // a gateway sets a missing time
	again[4] = newEvent("e3")              // twice in one batch
	receipts, err := l.Append(t.Context(), log, again)
	if err != nil {
		t.Fatal(err)
	}
	want := []Receipt{
		{ID: first[0], Duplicate: true}, {ID: first[1], Duplicate: true}, {ID: first[2], Duplicate: true},
		{ID: receipts[3].ID}, {ID: receipts[3].ID, Duplicate: true},
	}
	if !slices.Equal(receipts, want) {
		t.Errorf("receipts %+v, want %+v", receipts, want)
	}
	elsewhere := newEvent("e0")
	elsewhere.Source = "billing"
	mustAppend(t, l, log, elsewhere)
	mustAppend(t, l, newName(), newEvent("e0"))
	if got := len(mustReadAll(t, l, log)); got != 5 {
		t.Errorf("%d entries, want 5", got)
	}
}

func testReused(t *testing.T, l Log) {
	log := newName()
	first := mustAppend(t, l, log, newEvent("e0"))
	for name, change := range map[string]func(*Event){
		"type":       func(e *Event) { e.Type = "x" },
		"subject":    func(e *Event) { e.Subject = "x" },
		"data":       func(e *Event) { e.Data = []byte("{}") },
		"schema":     func(e *Event) { e.DataSchema = "x" },
		"extensions": func(e *Event) { e.Extensions = []byte("{}") },
	} {
		changed := newEvent("e0")
		change(&changed)
		receipts, err := l.Append(t.Context(), log, []Event{changed, newEvent("after " + name)})
		if err != nil {
			t.Fatal(err)
		}
		if r := receipts[0]; !errors.Is(r.Err, ErrReused) || r.ID != first[0] {
			t.Errorf("with another %s: receipt %+v, want ErrReused and the first position, %s", name, r, first[0])
		}
		if r := receipts[1]; r.Err != nil || r.Duplicate {
			t.Errorf("the event behind it: receipt %+v, want a new position", r)
		}
	}
}

func testConcurrent(t *testing.T, l Log) {
	const writers, each = 16, 20
	logs := []string{newName(), newName(), newName()}
	var done sync.WaitGroup
	for w := range writers {
		done.Go(func() {
			for i := range each {
				for _, log := range logs {
					mustAppend(t, l, log, newEvent(fmt.Sprintf("%d %d", w, i)))
				}
			}
		})
	}
	done.Wait()
	for _, log := range logs {
		next := make(map[string]int)
		entries := mustReadAll(t, l, log)
		for _, e := range entries {
			w, i, _ := strings.Cut(e.Event.ID, " ")
			if want := strconv.Itoa(next[w]); i != want {
				t.Errorf("event %s of writer %s came when %s was next", i, w, want)
			}
			next[w]++
		}
		if len(entries) != writers*each {
			t.Errorf("%d entries, want %d", len(entries), writers*each)
		}
	}
}
