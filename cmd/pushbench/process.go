//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	tick      = 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on
	stopLimit = 15 * time.Second
)

// cpuTime returns the user and system time that a process has used.
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, in brackets, may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("process %d: unexpected stat", pid)
	}
	user, err := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * tick, errors.Join(err, err2)
}

// resident returns the memory, in bytes, that a process holds.
func resident(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "Rss:" {
			kilobytes, err := strconv.Atoi(fields[1])
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("process %d: no Rss in smaps_rollup", pid)
}

// A child is a process that was started here and says in its first line of
// output that it is ready, and how to reach it.
type child struct {
	cmd   *exec.Cmd
	first []byte
	out   *os.File      // its output; nil: discarded
	rest  *bufio.Reader // of out
	log   *tail
	ended chan struct{} // closed by stop
}

// A tail keeps the end of what a child has to say about itself.
type tail struct {
	mu   sync.Mutex // guards text
	text []byte
}

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(len(t.text)-tailSize, 0):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// launch starts a program that ends with this one at the latest. Its standard
// output is discarded unless requested. prepare is called by the thread that
// starts it, whose priority it inherits; nil: it has none of its own.
func launch(prepare func() error, name string, out *os.File, args ...string) (*child, error) {
	cmd := exec.Command(name, args...)
	if out != nil {
		cmd.Stdout = out
	}
	log := new(tail)
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started, ended := make(chan error), make(chan struct{})
	go func() {
		// The kernel takes the end of this thread, which ends with the goroutine, for
		// that of the program.
		runtime.LockOSThread()
		var err error
		if prepare != nil {
			err = prepare()
		}
		if err == nil {
			err = cmd.Start()
		}
		if started <- err; err == nil {
			<-ended
		}
	}()
	return &child{cmd: cmd, log: log, ended: ended}, <-started
}

// startChild starts a program and reads its first line.
func startChild(ctx context.Context, name string, args ...string) (*child, error) {
	return start(ctx, nil, name, args...)
}

// startIdle is startChild for a program that runs only when no other wants to.
func startIdle(ctx context.Context, name string, args ...string) (*child, error) {
	return start(ctx, func() error {
		idle := &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}
		return os.NewSyscallError("sched_setattr", unix.SchedSetAttr(0, idle, 0))
	}, name, args...)
}

func start(ctx context.Context, prepare func() error, name string, args ...string) (*child, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c, err := launch(prepare, name, write, args...)
	write.Close()
	if err != nil {
		read.Close()
		return nil, err
	}
	deadline := time.Now().Add(stopLimit)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	c.out, c.rest = read, bufio.NewReader(read)
	err = read.SetReadDeadline(deadline)
	if err == nil {
		c.first, err = c.rest.ReadBytes('\n')
	}
	if err == nil {
		err = read.SetReadDeadline(time.Time{})
	}
	if err != nil {
		c.stop()
		return nil, fmt.Errorf("start %s: its first line: %w\n%s", name, err, c.log)
	}
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// stop ends the child, waits for it, and returns its output after the first line.
func (c *child) stop() (said string) {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(stopLimit, func() { _ = c.cmd.Process.Kill() })
	if c.out != nil {
		text, _ := io.ReadAll(c.rest) // until it ends
		said = string(text)
		c.out.Close()
	}
	_ = c.cmd.Wait()
	close(c.ended)
	late.Stop()
	return said
}
