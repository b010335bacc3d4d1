package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/paylogic/pushserver/auth"
)

// An attacker speaks HTTP/2 frame by frame, as no client would.
type attacker struct {
	*http2.Framer
	conn   net.Conn
	host   string
	fields bytes.Buffer
	pack   *hpack.Encoder
}

// attack opens a connection to a rig over TLS and begins with these settings.
func (r *rig) attack(t testing.TB, settings ...http2.Setting) *attacker {
	t.Helper()
	tcp, err := net.Dial("tcp", r.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tcp.Close() })
	if err := errors.Join(tcp.(*net.TCPConn).SetReadBuffer(4096), tcp.SetDeadline(time.Now().Add(2*patience))); err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(tcp, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	a := &attacker{Framer: http2.NewFramer(conn, conn), conn: conn, host: r.http.Listener.Addr().String()}
	a.pack = hpack.NewEncoder(&a.fields)
	a.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := a.WriteSettings(settings...); err != nil {
		t.Fatal(err)
	}
	return a
}

// request asks for a stream of events as stream id.
func (a *attacker) request(id uint32, key string, last bool) error {
	a.fields.Reset()
	for name, value := range map[string]string{":method": "GET", ":scheme": "https", ":authority": a.host, ":path": "/v1/stream"} {
		_ = a.pack.WriteField(hpack.HeaderField{Name: name, Value: value}) // into memory
	}
	_ = a.pack.WriteField(hpack.HeaderField{Name: "authorization", Value: "Bearer " + key})
	return a.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: a.fields.Bytes(), EndStream: true, EndHeaders: last})
}

// until reads frames until one is as wanted, and acknowledges what a client must. It
// reports false when the server has ended the connection.
func (a *attacker) until(t testing.TB, wanted func(http2.Frame) bool) bool {
	t.Helper()
	for {
		frame, err := a.ReadFrame()
		var late net.Error
		switch {
		case errors.As(err, &late) && late.Timeout():
			t.Fatal("the server lets it happen")
		case err != nil:
			return false
		case wanted(frame):
			return true
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = a.WriteSettingsAck() // if the connection has ended, the next read says so
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				_ = a.WritePing(true, f.Data)
			}
		}
	}
}

// isGoAway is what a server says before it ends a connection.
func isGoAway(f http2.Frame) bool {
	_, ok := f.(*http2.GoAwayFrame)
	return ok
}

func TestAttack71FloodsOfFramesHarmNobodyElse(t *testing.T) {
	for name, tt := range map[string]struct {
		ended bool // else it costs so little that it may go on
		flood func(a *attacker, key string) error
	}{
		"rapid reset": {false, func(a *attacker, key string) error {
			for id := uint32(1); id < 20_000; id += 2 {
				if err := errors.Join(a.request(id, key, true), a.WriteRSTStream(id, http2.ErrCodeCancel)); err != nil {
					return err
				}
			}
			return nil
		}},
		"CONTINUATION": {true, func(a *attacker, key string) error {
			if err := a.request(1, key, false); err != nil {
				return err
			}
			for range 10_000 {
				a.fields.Reset()
				_ = a.pack.WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("x", 1000), Sensitive: true})
				if err := a.WriteContinuation(1, false, a.fields.Bytes()); err != nil {
					return err
				}
			}
			return nil
		}},
		"PING": {true, func(a *attacker, _ string) error {
			return repeat(func() error { return a.WritePing(false, [8]byte{}) })
		}},
		"SETTINGS": {false, func(a *attacker, _ string) error { return repeat(func() error { return a.WriteSettings() }) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startRig(t, eventlog.MemoryOptions{}, true)
			good := r.watch(t, r.b, "?envelope=data")
			connectionOf(t, good)
			a := r.attack(t)
			flooded := make(chan error, 1)
			go func() { flooded <- tt.flood(a, r.a) }()
			r.publish(t, "b", "t", "1")
			if e := good.next(t); string(e.Data) != "1" {
				t.Errorf("meanwhile another merchant gets %s %s", e.Type, e.Data)
			}
			if err := <-flooded; tt.ended && err == nil { // all was sent: it must be refused then
				a.until(t, isGoAway)
			}
			r.publish(t, "b", "t", "2")
			if e := good.next(t); string(e.Data) != "2" {
				t.Errorf("afterwards another merchant gets %s %s", e.Type, e.Data)
			}
			a.conn.Close()
			r.alive(t)
			eventually(t, "nothing is left of the flood", func() bool { return r.hub.Stats().Subscriptions == 1 })
		})
	}
}

// repeat sends more frames that want an answer than a server may keep answers for
// a client that does not read them.
func repeat(send func() error) error {
	for range 50_000 {
		if err := send(); err != nil {
			return err
		}
	}
	return nil
}

func TestAttack71StreamsOfOneConnectionAreCounted(t *testing.T) {
	t.Parallel()
	r := startRig(t, eventlog.MemoryOptions{}, true)
	key := r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Limits: within(t, "streams=200,connects=600/m")})
	a := r.attack(t)
	for n := range uint32(streamsPerConn + 1) {
		if err := a.request(2*n+1, key, true); err != nil {
			t.Fatal(err)
		}
	}
	announced := uint32(0)
	refused := func(f http2.Frame) bool {
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if most, ok := f.Value(http2.SettingMaxConcurrentStreams); ok {
				announced = most
			}
		case *http2.RSTStreamFrame:
			return f.StreamID == 2*streamsPerConn+1
		}
		return false
	}
	if !a.until(t, refused) {
		t.Error("the connection was ended, and with it the streams that are within the limit")
	}
	if announced != 100 {
		t.Errorf("%d streams at the same time are announced, want 100", announced)
	}
	r.alive(t)
}

func TestAttack71ReaderWithoutAWindowIsEnded(t *testing.T) {
	t.Parallel()
	r := startRig(t, eventlog.MemoryOptions{}, true)
	a := r.attack(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	if err := a.request(1, r.a, true); err != nil {
		t.Fatal(err)
	}
	status := ""
	a.until(t, func(f http2.Frame) bool {
		if head, ok := f.(*http2.MetaHeadersFrame); ok {
			status = head.PseudoValue("status")
		}
		_, reset := f.(*http2.RSTStreamFrame)
		return reset || isGoAway(f)
	})
	if status != "200" {
		t.Errorf("it was answered with %s", status)
	}
	eventually(t, "it does not count any more", func() bool {
		return !strings.Contains(r.do(t, "GET", "/v1/connections", r.a, "").body, `"id"`)
	})
	r.alive(t)
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %s it is not so: %s", patience, what)
		}
	}
}
