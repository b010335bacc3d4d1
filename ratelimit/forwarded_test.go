package ratelimit

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

var proxies = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("2001:db8:aaaa::/48"),
}

func TestClientAddrIsTheRightMostHopNobodyTrusts(t *testing.T) {
	tests := []struct {
		remote    string
		forwarded []string
		want      string
	}{
		{"203.0.113.7:4711", nil, "203.0.113.7"},
		{"[2001:db8::7]:4711", nil, "2001:db8::7"},
		{"[::ffff:203.0.113.7]:4711", nil, "203.0.113.7"},
		{"[fe80::1%eth0]:80", nil, "fe80::1"},
		// No proxy vouches for what a client says of itself.
		{"203.0.113.7:4711", []string{"198.51.100.1"}, "203.0.113.7"},
		{"203.0.113.7:4711", []string{"10.0.0.1"}, "203.0.113.7"},

		{"10.0.0.1:80", []string{"203.0.113.7"}, "203.0.113.7"},
		{"[::ffff:10.0.0.1]:80", []string{"203.0.113.7"}, "203.0.113.7"},
		{"10.0.0.1:80", []string{"198.51.100.1, 203.0.113.7"}, "203.0.113.7"},
		{"10.0.0.1:80", []string{"198.51.100.1,203.0.113.7,10.0.0.2"}, "203.0.113.7"},
		{"10.0.0.1:80", []string{"198.51.100.1", "203.0.113.7", "10.0.0.2"}, "203.0.113.7"},
		{"10.0.0.1:80", []string{"203.0.113.7, 2001:db8:aaaa::5"}, "203.0.113.7"},
		{"10.0.0.1:80", []string{"203.0.113.7, ::ffff:10.9.9.9"}, "203.0.113.7"},
		{"10.0.0.1:80", []string{"2001:db8::7"}, "2001:db8::7"},
		{"10.0.0.1:80", []string{"[2001:db8::7]"}, "2001:db8::7"},
		{"10.0.0.1:80", []string{"[2001:db8::7]:443"}, "2001:db8::7"},
		{"10.0.0.1:80", []string{"203.0.113.7:443"}, "203.0.113.7"},
		{"10.0.0.1:80", []string{"\t 203.0.113.7 \t"}, "203.0.113.7"},
		{"10.0.0.1:80", []string{"203.0.113.7, , ,"}, "203.0.113.7"},
		{"10.0.0.1:80", []string{"203.0.113.7", ""}, "203.0.113.7"},
		{"10.0.0.1:80", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"10.0.0.1:80", nil, "10.0.0.1"},
		{"10.0.0.1:80", []string{""}, "10.0.0.1"},
		// Where something is no address, the proxy that wrote it is known.
		{"10.0.0.1:80", []string{"203.0.113.7, unknown"}, "10.0.0.1"},
		{"10.0.0.1:80", []string{"203.0.113.7, _hidden, 10.0.0.2"}, "10.0.0.2"},
		{"10.0.0.1:80", []string{"[203.0.113.7]"}, "10.0.0.1"},
		{"10.0.0.1:80", []string{"203.0.113.007"}, "10.0.0.1"},
		{"10.0.0.1:80", []string{"203.0.113.7 198.51.100.1"}, "10.0.0.1"},
		{"10.0.0.1:80", []string{`"203.0.113.7"`}, "10.0.0.1"},

		{"@", []string{"203.0.113.7"}, "invalid IP"},
		{"", nil, "invalid IP"},
	}
	for _, test := range tests {
		if got := ClientAddr(test.remote, test.forwarded, proxies); got.String() != test.want {
			t.Errorf("from %q, forwarded for %q: got %s, want %s", test.remote, test.forwarded, got, test.want)
		}
	}
	if got := ClientAddr("10.0.0.1:80", []string{"203.0.113.7"}, nil); got.String() != "10.0.0.1" {
		t.Errorf("with no proxy trusted: got %s, want 10.0.0.1", got)
	}
}

// Whatever a client writes to the left of what a proxy says of it changes
// nothing, and without a trusted proxy nothing that is written does.
func FuzzClientAddr(f *testing.F) {
	f.Add("198.51.100.1", "203.0.113.7:80")
	f.Add("10.0.0.1, 10.0.0.1,", "[2001:db8::7]:1")
	f.Add("unknown, \"x\", [::1", "10.1.1.1:1")
	f.Add(strings.Repeat("10.0.0.1,", 50), "[fe80::1%25lo]:1")
	f.Fuzz(func(t *testing.T, written, remote string) {
		if got, want := ClientAddr(remote, []string{written}, nil), ClientAddr(remote, nil, nil); got != want {
			t.Fatalf("from %q, forwarded for %q: got %s, want %s", remote, written, got, want)
		}
		client := ClientAddr(remote, nil, nil)
		if client != plain(client) {
			t.Fatalf("from %q: %s is not plain", remote, client)
		}
		through := ClientAddr("10.0.0.1:80", []string{written}, proxies)
		if !through.IsValid() || through != plain(through) {
			t.Fatalf("forwarded for %q: %s", written, through)
		}
		if !client.IsValid() || contains(proxies, client) {
			return
		}
		for _, forwarded := range [][]string{
			{written + ", " + client.String()}, {written, client.String()}, {written, client.String() + ", 10.0.0.2"},
		} {
			if got := ClientAddr("10.0.0.1:80", forwarded, proxies); got != client {
				t.Fatalf("forwarded for %q: got %s, want %s", forwarded, got, client)
			}
		}
		if got := ClientAddr("10.0.0.1:80", slices.Repeat([]string{client.String()}, 3), proxies); got != client {
			t.Fatalf("got %s, want %s", got, client)
		}
	})
}
