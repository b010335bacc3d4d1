//go:build !linux

package reaper

import "syscall"

// deathSignal requests nothing: other kernels have no such signal. After a crash
// of this program its processes must be ended by hand.
func deathSignal() *syscall.SysProcAttr { return nil }
