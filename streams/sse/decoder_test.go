package sse_test

import (
	"errors"
	"io"
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/paylogic/pushserver/streams/sse"
)

type message struct{ id, typ, data string }

func TestDecoderDeliversWhatABrowserWould(t *testing.T) {
	tests := []struct {
		name, stream string
		want         []message
		lastID       string
	}{
		// The examples in section 9.2.6.
		{"one event of three lines", "data: YHOO\ndata: +2\ndata: 10\n\n",
			[]message{{"", "message", "YHOO\n+2\n10"}}, ""},
		{"comment, id, empty id, unfinished block",
			": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n",
			[]message{{"1", "message", "first event"}, {"", "message", "second event"}}, ""},
		{"data without a colon", "data\n\ndata\ndata\n\ndata:",
			[]message{{"", "message", ""}, {"", "message", "\n"}}, ""},
		{"one space after the colon is optional", "data:test\n\ndata: test\n\ndata:  test\n\n",
			[]message{{"", "message", "test"}, {"", "message", "test"}, {"", "message", " test"}}, ""},

		{"byte order mark", "\ufeffdata: x\n\n", []message{{"", "message", "x"}}, ""},
		{"byte order mark later is text", "data: x\n\n\ufeffdata: y\n\n", []message{{"", "message", "x"}}, ""},
		{"only one byte order mark goes", "\ufeff\ufeffdata: x\n\n", nil, ""},
		{"CR, LF and CRLF end lines", "id: 1\rdata: a\r\ndata: b\ndata: c\r\r\ndata: d\r\n\r\n",
			[]message{{"1", "message", "a\nb\nc"}, {"1", "message", "d"}}, "1"},
		{"LF CR is two ends", "data: a\n\rdata: b\n\n", []message{{"", "message", "a"}, {"", "message", "b"}}, ""},
		{"the id stays for events without one", "id: 1\ndata: a\n\ndata: b\n\n",
			[]message{{"1", "message", "a"}, {"1", "message", "b"}}, "1"},
		{"the last id of a block counts", "id: 1\nid: 2\ndata: a\n\n", []message{{"2", "message", "a"}}, "2"},
		{"an id with NUL is ignored", "id: 1\ndata: a\n\nid: 2\x00\ndata: b\n\n",
			[]message{{"1", "message", "a"}, {"1", "message", "b"}}, "1"},
		{"an empty id resets", "id: 1\ndata: a\n\nid:\ndata: b\n\n",
			[]message{{"1", "message", "a"}, {"", "message", "b"}}, ""},
		{"a block without data moves the id alone", "event: a\nid: 5\n\ndata: b\n\n",
			[]message{{"5", "message", "b"}}, "5"},
		{"the id of an unfinished block does not count", "id: 1\ndata: a\n\nid: 2\ndata: b\n",
			[]message{{"1", "message", "a"}}, "1"},
		{"the id of an unfinished line does not count", "id: 1\n\nid: 2", nil, "1"},
		{"the type holds for one event", "event: a\ndata: 1\n\ndata: 2\n\n",
			[]message{{"", "a", "1"}, {"", "message", "2"}}, ""},
		{"the type of a block without data is dropped", "event: a\n\ndata: 2\n\n", []message{{"", "message", "2"}}, ""},
		{"an empty type is message", "event: a\nevent:\ndata: 2\n\n", []message{{"", "message", "2"}}, ""},
		{"unknown fields and other cases are ignored", "Data: x\ndata : y\n data: z\nfoo\ndata: a:b\n\n",
			[]message{{"", "message", "a:b"}}, ""},
		{"bytes that are not UTF-8 are kept", "data: \xff\xc3\x00\n\n", []message{{"", "message", "\xff\xc3\x00"}}, ""},
		{"nothing", "", nil, ""},
		{"only empty lines", "\n\r\n\r\r\n", nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, r := range []io.Reader{
				strings.NewReader(test.stream),
				iotest.OneByteReader(strings.NewReader(test.stream)),
				iotest.DataErrReader(strings.NewReader(test.stream)),
			} {
				d := sse.NewDecoder(r)
				got, err := messages(d)
				if !slices.Equal(got, test.want) || err != io.EOF {
					t.Errorf("%q\n got %q, %v\nwant %q, EOF", test.stream, got, err, test.want)
				}
				if d.LastEventID() != test.lastID {
					t.Errorf("%q\nlast event id %q, want %q", test.stream, d.LastEventID(), test.lastID)
				}
			}
		})
	}
}

func TestRetryIsDigitsAlone(t *testing.T) {
	tests := []struct {
		stream string
		want   time.Duration
		asked  bool
	}{
		{"retry: 3000\n", 3 * time.Second, true}, // at once, not when the block ends
		{"retry:0\n", 0, true},
		{"retry: 1\nretry: 2\n", 2 * time.Millisecond, true},
		{"retry: 007\n", 7 * time.Millisecond, true},
		{"retry: 1\nretry: 2s\n", time.Millisecond, true},
		{"retry: 99999999999999999999\n", math.MaxInt64, true},
		{"retry: 9223372036854775807\n", math.MaxInt64, true},
		{"retry: -1\n", 0, false},
		{"retry: +1\n", 0, false},
		{"retry: 1.5\n", 0, false},
		{"retry:  1\n", 0, false}, // a second space is part of the value
		{"retry: ٣\n", 0, false},
		{"retry:\n", 0, false},
		{"retry\n", 0, false},
	}
	for _, test := range tests {
		d := sse.NewDecoder(strings.NewReader(test.stream))
		messages(d)
		if got, asked := d.Retry(); got != test.want || asked != test.asked {
			t.Errorf("%q: got %v, %v; want %v, %v", test.stream, got, asked, test.want, test.asked)
		}
	}
}

func TestEventCarriesTheRetryOfItsOwnBlock(t *testing.T) {
	d := sse.NewDecoder(strings.NewReader("retry: 5\ndata: a\n\ndata: b\n\n"))
	for _, want := range []time.Duration{5 * time.Millisecond, 0} {
		if got, err := d.Next(); err != nil || got.Retry != want {
			t.Errorf("retry %v, %v; want %v", got.Retry, err, want)
		}
	}
}

func TestCommentsAreSeen(t *testing.T) {
	var got []string
	d := sse.NewDecoder(strings.NewReader(": a\n:b\n\ndata: x\n:\n:  c: d\n\n: cut off"))
	d.Comment = func(text string) { got = append(got, text) }
	messages(d)
	if want := []string{"a", "b", "", " c: d"}; !slices.Equal(got, want) {
		t.Errorf("comments %q, want %q", got, want)
	}
}

func TestLargeEventsEndTheStream(t *testing.T) {
	const limit = 100
	long := strings.Repeat("x", limit-len("data: "))
	tests := []struct {
		name, stream string
		want         error
	}{
		{"a line at the bound", "data: " + long + "\n\n", io.EOF},
		{"a line over the bound", "data: " + long + "x\n\n", sse.ErrTooLarge},
		{"an endless line", strings.Repeat("x", 10*limit), sse.ErrTooLarge},
		{"a comment over the bound", ":" + strings.Repeat("x", limit) + "\n", sse.ErrTooLarge},
		{"data at the bound", "data: " + long + "\ndata: 12345\n\n", io.EOF},
		{"data over the bound", "data: " + long + "\ndata: 123456\n\n", sse.ErrTooLarge},
		{"many empty lines of data", strings.Repeat("data\n", limit+2) + "\n", sse.ErrTooLarge},
		{"many comments in one block", strings.Repeat(": heartbeat\n", limit), io.EOF},
		{"many events", strings.Repeat("data: x\n\n", limit), io.EOF},
	}
	for _, test := range tests {
		d := sse.NewDecoder(strings.NewReader(test.stream))
		d.MaxSize = limit
		if _, err := messages(d); err != test.want {
			t.Errorf("%s: ended with %v, want %v", test.name, err, test.want)
		}
		if _, err := d.Next(); err != test.want {
			t.Errorf("%s: then %v, want the same again", test.name, err)
		}
	}
}

func TestErrorOfTheReaderIsHandedOn(t *testing.T) {
	broken := errors.New("broken")
	d := sse.NewDecoder(io.MultiReader(strings.NewReader("id: 1\ndata: a\n\ndata: b\n"), iotest.ErrReader(broken)))
	got, err := messages(d)
	if want := []message{{"1", "message", "a"}}; !slices.Equal(got, want) || err != broken {
		t.Errorf("got %q, %v; want %q, %v", got, err, want, broken)
	}
}

// A CR that ends a block may be the last byte for a long time. The decoder must
// not wait for an LF.
func TestEventIsDeliveredBeforeTheNextByte(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go server.Write([]byte("data: a\r\r"))
	client.SetReadDeadline(time.Now().Add(10 * time.Second))
	if got, err := sse.NewDecoder(client).Next(); err != nil || string(got.Data) != "a" {
		t.Errorf("got %q, %v; want a", got.Data, err)
	}
}

func messages(d *sse.Decoder) ([]message, error) {
	var got []message
	for {
		e, err := d.Next()
		if err != nil {
			return got, err
		}
		got = append(got, message{e.ID, e.Type, string(e.Data)})
	}
}
