package ratelimit

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

func TestFailuresOfAnAddressAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAddresses(AddressOptions{Failures: 10})
		for i := range 10 {
			if wait := a.Fail(addr("203.0.113.7")); wait != 0 {
				t.Errorf("failure %d waits %v", i+1, wait)
			}
		}
		for range 1000 { // and refusals do not add up
			if wait := a.Fail(addr("203.0.113.7")); wait <= 0 || wait > 6*time.Second {
				t.Fatalf("another failure waits %v, want at most 6 s", wait)
			}
		}
		if wait := a.Fail(addr("203.0.113.8")); wait != 0 {
			t.Errorf("another address waits %v", wait)
		}
		time.Sleep(6 * time.Second)
		if wait := a.Fail(addr("203.0.113.7")); wait != 0 {
			t.Errorf("after 6 s it waits %v", wait)
		}
		if wait := a.Fail(addr("203.0.113.7")); wait == 0 {
			t.Error("after 6 s two may fail, want one")
		}
	})
}

func TestAttack85RotationWithinA64IsOneAddress(t *testing.T) {
	a := NewAddresses(AddressOptions{Failures: 5, Connections: 5})
	failed, opened := 0, 0
	for i := range 100 {
		rotated := addr(fmt.Sprintf("2001:db8:1:2:%x::%x", i, i))
		if a.Fail(rotated) == 0 {
			failed++
		}
		if a.Open(rotated) {
			opened++
		}
	}
	if failed != 5 || opened != 5 {
		t.Errorf("%d failed freely and %d are open, want 5 and 5", failed, opened)
	}
	neighbour := addr("2001:db8:1:3::1")
	if a.Fail(neighbour) != 0 || !a.Open(neighbour) {
		t.Error("the next /64 has no limits of its own")
	}
}

func TestAnAddressIsOneHoweverItIsWritten(t *testing.T) {
	a := NewAddresses(AddressOptions{Connections: 1})
	for _, same := range [][2]string{
		{"203.0.113.7", "::ffff:203.0.113.7"},
		{"fe80::1%eth0", "fe80::1%eth1"},
	} {
		if !a.Open(addr(same[0])) || a.Open(addr(same[1])) {
			t.Errorf("%s and %s are two", same[0], same[1])
		}
	}
	if !a.Open(netip.Addr{}) || a.Open(netip.Addr{}) {
		t.Error("those without an address are not one")
	}
}

func TestTrustedProxiesHaveNoLimits(t *testing.T) {
	a := NewAddresses(AddressOptions{Failures: 1, Connections: 1, Trusted: proxies})
	for range 100 {
		for _, proxy := range []string{"10.0.0.1", "::ffff:10.0.0.1", "2001:db8:aaaa::1"} {
			if a.Fail(addr(proxy)) != 0 || !a.Open(addr(proxy)) {
				t.Fatalf("%s has limits", proxy)
			}
		}
	}
	if len(a.open) != 0 || len(a.limiters) != 0 {
		t.Errorf("%d and %d are remembered, want none", len(a.open), len(a.limiters))
	}
}

func TestConnectionsOfAnAddressAreLimited(t *testing.T) {
	a := NewAddresses(AddressOptions{Connections: 5})
	var open atomic.Int64
	var callers sync.WaitGroup
	for range 50 {
		callers.Go(func() {
			if a.Open(addr("203.0.113.7")) {
				open.Add(1)
			}
		})
	}
	callers.Wait()
	if got := open.Load(); got != 5 {
		t.Fatalf("%d of 50 are open, want 5", got)
	}
	a.Close(addr("203.0.113.7"))
	if !a.Open(addr("203.0.113.7")) || a.Open(addr("203.0.113.7")) {
		t.Error("when one has ended, want one more")
	}
	for range 5 {
		a.Close(addr("203.0.113.7"))
	}
	a.Close(addr("203.0.113.7")) // once too often
	if len(a.open) != 0 {
		t.Errorf("nothing is open, and %d addresses are remembered", len(a.open))
	}
	if free := NewAddresses(AddressOptions{}); !free.Open(addr("203.0.113.7")) || len(free.open) != 0 {
		t.Error("without a limit connections are counted")
	}
}

func TestAddressesAreBounded(t *testing.T) {
	a := NewAddresses(AddressOptions{Failures: 1, Table: 100})
	a.Fail(addr("203.0.113.7"))
	for i := range 1000 {
		a.Fail(addr(fmt.Sprintf("198.51.%d.%d", i/250, i%250)))
		if i%50 == 0 && a.Fail(addr("203.0.113.7")) == 0 {
			t.Fatal("an address that goes on failing is forgotten")
		}
		if len(a.limiters) > 100 || a.recent.Len() > 100 {
			t.Fatalf("%d addresses are remembered, want at most 100", len(a.limiters))
		}
	}
}
