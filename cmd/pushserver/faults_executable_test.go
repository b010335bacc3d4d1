//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An executable is the program, built from this source or from one with a bug.
type executable struct{ path string }

// A bug replaces one text of one source file by another. The file is named from
// the root of the module.
type bug struct{ file, text, by string }

// build makes an executable, with bugs if there are any. The source is not touched:
// the compiler is given other files in its place. A bug whose text is no longer
// in its file, or stands there twice, ends the test: it would be planted nowhere.
func build(t *testing.T, bugs ...bug) executable {
	t.Helper()
	dir := t.TempDir()
	replace := make(map[string]string)
	for i, b := range bugs {
		file, err := filepath.Abs(filepath.Join("..", "..", b.file))
		if err != nil {
			t.Fatal(err)
		}
		was := file
		if changed, ok := replace[file]; ok {
			was = changed
		}
		source, err := os.ReadFile(was)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(source), b.text); n != 1 {
			t.Fatalf("%s has the text that the bug replaces %d times, want once: %s", b.file, n, b.text)
		}
		replace[file] = filepath.Join(dir, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(replace[file], []byte(strings.Replace(string(source), b.text, b.by, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlaid := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlaid, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	e := executable{filepath.Join(dir, "pushserver")}
	command := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-overlay", overlaid, "-o", e.path, ".")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return e
}

// A process is a program that runs. It does not outlive this one.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	log    string        // the file with what it prints
	exited chan struct{} // closed when it has ended
}

// start runs the program in a place until the test ends, at the latest. What it
// prints is appended to the file log.
func (e executable) start(t *testing.T, in *place, log string, args ...string) *process {
	t.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close() // the process has its own descriptor
	cmd := exec.Command(e.path, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	in.do(func() { err = cmd.Start() })
	if err != nil {
		t.Fatalf("start %s: %v", args[0], err)
	}
	running := &process{t: t, cmd: cmd, log: log, exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(running.exited)
	}()
	t.Cleanup(running.kill)
	return running
}

// kill ends the process with SIGKILL and returns when it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.exited
}

// terminate sends SIGTERM and returns after how long the process had ended, or
// fails the test and kills it.
func (p *process) terminate(limit time.Duration) time.Duration {
	p.t.Helper()
	asked := time.Now()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(limit):
		p.t.Errorf("%v after SIGTERM the process still runs", limit)
		p.kill()
	}
	if code := p.cmd.ProcessState.ExitCode(); code > exitOK {
		p.t.Errorf("after SIGTERM the process ended with %d, want %d\n%s", code, exitOK, p.tail())
	}
	return time.Since(asked)
}

// hasExited reports whether the process has ended.
func (p *process) hasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// tail returns the end of what the process printed.
func (p *process) tail() string {
	log, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-25):], "\n")
}
