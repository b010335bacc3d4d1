//go:build !linux

package transport

import "net"

// ListenConfig returns how to listen for clients of the public API.
func ListenConfig(bool) net.ListenConfig { return net.ListenConfig{} }
