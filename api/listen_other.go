//go:build !linux

package api

import "net"

// ListenConfig returns how to listen for clients of the public API.
func ListenConfig(secure bool) net.ListenConfig { return net.ListenConfig{} }
