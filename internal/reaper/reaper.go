// Package reaper starts processes that do not outlive this program.
//
// On Linux the kernel kills such a process when its parent dies. The parent is
// the operating-system thread that started it, and Go ends threads as it likes.
// A Reaper therefore owns one thread and starts everything on it.
package reaper

import (
	"os/exec"
	"runtime"
)

// A Reaper owns one operating-system thread. The kernel kills the processes
// that it started when the thread ends.
type Reaper struct{ calls chan call }

type call struct {
	f    func() error
	done chan error
}

// New returns a Reaper. Its owner calls Close.
func New() *Reaper {
	r := &Reaper{calls: make(chan call)}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for c := range r.calls {
			c.done <- c.f()
		}
	}()
	return r
}

// Start starts a command. It replaces the command's SysProcAttr.
func (r *Reaper) Start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = deathSignal()
	return r.Do(cmd.Start)
}

// Do calls f on the thread and returns its error.
func (r *Reaper) Do(f func() error) error {
	c := call{f, make(chan error)}
	r.calls <- c
	return <-c.done
}

// Close ends the thread, and on Linux every process that it started. No other
// method may be called after it.
func (r *Reaper) Close() { close(r.calls) }
