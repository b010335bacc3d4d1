package reaper

import "syscall"

// deathSignal keeps the terminal's interrupt from the process: this program
// receives it and ends its processes in good order.
func deathSignal() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
