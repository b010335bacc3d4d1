//go:build !linux

package redistest

import "syscall"

// deathSignal asks for nothing: other kernels have no such signal, and servers
// left behind by a crash there are ended by hand.
func deathSignal() *syscall.SysProcAttr { return nil }
