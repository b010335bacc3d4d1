package redistest

import "syscall"

// deathSignal has the kernel kill a server when its parent is gone, and keeps
// the terminal's interrupt for this program, which then ends its servers.
func deathSignal() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
