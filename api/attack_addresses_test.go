package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/api/transport"
	"github.com/paylogic/pushserver/auth"
)

func TestAttack73ConnectionsOfOneAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, eventlog.MemoryOptions{})
	limited := transport.LimitListener(l, transport.LimitOptions{Connections: 100, PerAddress: 3, Clear: true})
	server := NewHTTPServer(r.server.Handler(), r.server.Logger)
	go server.Serve(limited)
	t.Cleanup(func() { server.Close() })
	ask := func(from string) (*http.Response, error) {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		client := http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}, Timeout: patience}
		req, err := http.NewRequest("GET", "http://"+l.Addr().String()+"/v1/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+r.a)
		return client.Do(req)
	}
	var open []*http.Response
	for range 3 {
		res, err := ask("127.0.0.2")
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("%v %v", res, err)
		}
		defer res.Body.Close()
		open = append(open, res)
	}
	res, err := ask("127.0.0.2")
	if err != nil || res.StatusCode != http.StatusTooManyRequests {
		t.Fatalf("the fourth connection of an address: %v %v, want 429", res, err)
	}
	if body, _ := io.ReadAll(res.Body); !strings.Contains(string(body), "address") {
		t.Errorf("it is told %s", body)
	}
	if res, err := ask("127.0.0.3"); err != nil || res.StatusCode != 200 {
		t.Errorf("another address: %v %v", res, err)
	} else {
		res.Body.Close()
	}
	open[0].Body.Close() // a stream that was taken over counts until it ends
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		res, err := ask("127.0.0.2")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == 200 {
				break
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("a connection that has ended still counts")
		}
	}
}

func TestAttack85AddressesBehindAProxyAndInOneNetwork(t *testing.T) {
	r := startRig(t, eventlog.MemoryOptions{}, false, func(c *Config) {
		c.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	wrong := func(from string) int {
		return r.do(t, "GET", "/v1/me", auth.Mint(auth.Live).Reveal(), "", "X-Forwarded-For", "8.8.8.8, "+from).status
	}
	for i := range 100 { // from one /64, and with another's address in front
		wrong(fmt.Sprintf("2001:db8::%x", i+1))
	}
	if got := wrong("2001:db8::ffff"); got != 429 {
		t.Errorf("after 100 wrong keys from its /64 an address gets %d", got)
	}
	if got := wrong("2001:db8:0:1::1"); got != 401 {
		t.Errorf("another /64 gets %d", got)
	}
	if got := wrong("8.8.8.8"); got != 401 {
		t.Errorf("an address that was only claimed gets %d", got)
	}
	r.alive(t)
}
