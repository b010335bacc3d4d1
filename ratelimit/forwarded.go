package ratelimit

import (
	"net/netip"
	"slices"
	"strings"
)

// ClientAddr returns the address from which a request was made, as far as that
// can be trusted: remote, the host and port at the other end of the connection,
// or if that is a trusted proxy the right-most address in the X-Forwarded-For
// fields that is not one.
//
// Whatever is further to the left was written by somebody nobody vouches for,
// and is not looked at. Where a proxy wrote something that is no address, the
// proxy itself is the best that is known; if all are trusted, it is the left-most.
// The address is invalid if remote is.
func ClientAddr(remote string, forwarded []string, trusted []netip.Prefix) netip.Addr {
	client := parseHop(remote)
	for _, field := range slices.Backward(forwarded) {
		for more := true; more; {
			if !contains(trusted, client) {
				return client
			}
			var hop string
			field, hop, more = cutLast(field)
			if hop = strings.Trim(hop, " \t"); hop == "" {
				continue // an empty element of a list does not count (RFC 9110, 5.6.1.2)
			}
			next := parseHop(hop)
			if !next.IsValid() {
				return client
			}
			client = next
		}
	}
	return client
}

// cutLast takes the last element off a list.
func cutLast(list string) (before, last string, more bool) {
	i := strings.LastIndexByte(list, ',')
	if i < 0 {
		return "", list, false
	}
	return list[:i], list[i+1:], true
}

// parseHop reads an address in one of the forms in which proxies write them:
// with a port or without, an IPv6 address in brackets or bare. It is plain: an
// IPv4 address is one however it was written, and has no zone.
func parseHop(text string) netip.Addr {
	if addr, err := netip.ParseAddr(text); err == nil {
		return plain(addr)
	}
	if addrPort, err := netip.ParseAddrPort(text); err == nil {
		return plain(addrPort.Addr())
	}
	if bare, ok := strings.CutPrefix(text, "["); ok {
		if bare, ok = strings.CutSuffix(bare, "]"); ok {
			if addr, err := netip.ParseAddr(bare); err == nil && addr.Is6() {
				return plain(addr)
			}
		}
	}
	return netip.Addr{}
}

func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}
