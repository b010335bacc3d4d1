package sse_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/streams/sse"
)

func TestAppendWritesFieldsInTheirOrder(t *testing.T) {
	tests := []struct {
		event sse.Event
		want  string
	}{
		{sse.Event{ID: "1-0-abcde", Type: "stream.open", Retry: 3 * time.Second, Data: []byte(`{"a":1}`)},
			"id: 1-0-abcde\nevent: stream.open\nretry: 3000\ndata: {\"a\":1}\n\n"},
		{sse.Event{Type: "stream.goodbye", Data: []byte("{}")}, "event: stream.goodbye\ndata: {}\n\n"},
		{sse.Event{ID: "7"}, "id: 7\n\n"},         // moves the position, delivers nothing
		{sse.Event{Data: []byte{}}, "data: \n\n"}, // delivers the empty string
		{sse.Event{Data: []byte("x")}, "data: x\n\n"},
		{sse.Event{ID: " 7", Data: []byte(" x")}, "id:  7\ndata:  x\n\n"}, // clients remove one space
		{sse.Event{Data: []byte("a\nb\rc\r\nd")}, "data: a\ndata: b\ndata: c\ndata: d\n\n"},
		{sse.Event{Data: []byte("a\n")}, "data: a\ndata: \n\n"},
		{sse.Event{Data: []byte("\r\r\n\n")}, "data: \ndata: \ndata: \ndata: \n\n"},
		{sse.Event{Retry: 999 * time.Microsecond, Data: []byte("x")}, "data: x\n\n"},
		{sse.Event{Retry: -time.Second, Data: []byte("x")}, "data: x\n\n"},
	}
	for _, test := range tests {
		got := string(test.event.Append([]byte("before\n\n")))
		if want := "before\n\n" + test.want; got != want {
			t.Errorf("%+v\n got %q\nwant %q", test.event, got, want)
		}
	}
}

func TestIDAndTypeCannotForgeALine(t *testing.T) {
	tests := []struct {
		event sse.Event
		want  string
	}{
		{sse.Event{ID: "7\ndata: forged\n\n", Data: []byte("x")}, "id: 7data: forged\ndata: x\n\n"},
		{sse.Event{Type: "a\r\nid: 9\r\r", Data: []byte("x")}, "event: aid: 9\ndata: x\n\n"},
		{sse.Event{ID: "7\x00", Type: "\x00a", Data: []byte("x")}, "id: 7\nevent: a\ndata: x\n\n"},
		{sse.Event{ID: "\r\n", Type: "\x00", Data: []byte("x")}, "data: x\n\n"},
	}
	for _, test := range tests {
		if got := string(test.event.Append(nil)); got != test.want {
			t.Errorf("%+v\n got %q\nwant %q", test.event, got, test.want)
		}
	}
}

func TestAppendWithRoomAllocatesNothing(t *testing.T) {
	buf := make([]byte, 0, 1024)
	event := benchmarkEvent("\n")
	if got := testing.AllocsPerRun(100, func() { buf = event.Append(buf[:0]) }); got != 0 {
		t.Errorf("Append made %v allocations, want 0", got)
	}
}

func benchmarkEvent(sep string) sse.Event {
	data := strings.Repeat(`{"available":9,"of":"100"}`+sep, 8)
	return sse.Event{ID: "1763845200123-4-Tb09s", Type: "ticket.availability", Data: []byte(data)}
}

func BenchmarkAppend(b *testing.B) {
	for name, sep := range map[string]string{"one line": " ", "eight lines": "\n"} {
		b.Run(name, func(b *testing.B) {
			event, buf := benchmarkEvent(sep), make([]byte, 0, 1024)
			b.SetBytes(int64(len(event.Append(buf))))
			b.ReportAllocs()
			for b.Loop() {
				buf = event.Append(buf[:0])
			}
		})
	}
}

func BenchmarkDecoder(b *testing.B) {
	one := benchmarkEvent(" ").Append(nil)
	const count = 1000
	stream := bytes.Repeat(one, count)
	b.SetBytes(int64(len(one)))
	b.ReportAllocs()
	var d *sse.Decoder
	for n := 0; b.Loop(); n++ {
		if n%count == 0 {
			d = sse.NewDecoder(bytes.NewReader(stream))
		}
		if _, err := d.Next(); err != nil {
			b.Fatal(err)
		}
	}
}
