package ratelimit

import (
	"net/netip"
	"slices"
	"strings"
)

// ClientAddr returns the most distant address of a request that can be trusted:
// remote, which is the host and port of the connection's peer, or, if that is a
// trusted proxy, the right-most address in the X-Forwarded-For fields that is not
// a trusted proxy.
//
// Addresses further to the left are ignored, because anyone may have written them.
// If a proxy wrote something that is no address, the result is the proxy itself. If
// all are trusted, it is the left-most. It is invalid if remote is.
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

// parseHop reads the forms in which proxies write an address: with or without a
// port, an IPv6 address in brackets or bare. The result has no zone, and an IPv4
// address mapped to IPv6 becomes IPv4.
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
