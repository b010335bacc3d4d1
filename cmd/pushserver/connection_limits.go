package main

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/paylogic/pushserver/api/transport"
)

// connectionLimits are flags.
type connectionLimits struct {
	MaxConnections int `help:"Client connections at the same time; 0: as many as the file descriptor limit allows." default:"0" env:"PUSHSERVER_MAX_CONNECTIONS"`
	PerAddress     int `name:"max-connections-per-address" help:"Client connections from one address, or one /64 of IPv6; 0: no limit. Trusted proxies are exempt." default:"0" env:"PUSHSERVER_MAX_CONNECTIONS_PER_ADDRESS"`
}

// reservedDescriptors are kept from clients: for Redis, the other listener, files,
// and the moments in which a connection has two.
const reservedDescriptors = 256

func limitConnections(l net.Listener, o connectionLimits, trusted []netip.Prefix, clear bool) (net.Listener, error) {
	if o.MaxConnections < 0 || o.PerAddress < 0 {
		return nil, fmt.Errorf("--max-connections and --max-connections-per-address must be 0 or more")
	}
	most := o.MaxConnections
	if limit := descriptorLimit(); limit > 0 {
		left := max(1, limit-reservedDescriptors)
		if most > left {
			return nil, fmt.Errorf("--max-connections %d: the limit of %d file descriptors (ulimit -n) leaves room for %d", most, limit, left)
		}
		if most == 0 {
			most = left
		}
	}
	return transport.LimitListener(l, transport.LimitOptions{
		Connections: most, PerAddress: o.PerAddress, Trusted: trusted, Clear: clear,
	}), nil
}
