package stand

import (
	"bytes"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// startLimit is for a start that takes 0.2 s when the machine is idle.
	startLimit = 20 * time.Second
	// endLimit is longer than a server takes to drain.
	endLimit = 40 * time.Second
	// raceReport is what the race detector prints.
	raceReport = "DATA RACE"
)

// A Process is the program while it runs. It does not outlive the test program.
type Process struct {
	URL string // of the public listener, once it serves

	t      testing.TB
	cmd    *exec.Cmd
	out    buffer
	log    *processLog
	exited chan struct{} // closed when it has ended
}

// Serve starts a server with these flags and returns when it takes connections.
// The end of the test ends it in good order. It listens on any free ports, unless
// a flag says otherwise.
func Serve(t testing.TB, flags ...string) *Process {
	t.Helper()
	p := Pushserver(t).Start(t, Launch{}, append([]string{"serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"}, flags...)...)
	p.AwaitServing()
	t.Cleanup(func() {
		if !p.HasExited() {
			p.Terminate(endLimit)
		}
	})
	return p
}

// AwaitServing returns when the process takes connections, and sets its URL.
func (p *Process) AwaitServing() {
	p.t.Helper()
	select {
	case p.URL = <-p.log.serving:
	case <-p.exited:
		p.t.Fatalf("%v ended before it served", p.cmd.Args[1:])
	case <-time.After(startLimit):
		p.t.Fatalf("%v does not serve after %v", p.cmd.Args[1:], startLimit)
	}
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stdout returns what the process has printed so far.
func (p *Process) Stdout() string { return p.out.String() }

// Kill ends the process with SIGKILL and returns when it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.exited
}

// Terminate sends SIGTERM and returns after how long the process had ended. It
// fails the test if the exit code is not 0. After the limit it kills the process
// and fails the test.
func (p *Process) Terminate(limit time.Duration) time.Duration {
	p.t.Helper()
	asked := time.Now()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(limit):
		p.t.Errorf("%v after SIGTERM the process still runs", limit)
		p.Kill()
		return time.Since(asked)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("after SIGTERM the process ended with %d, want 0", code)
	}
	return time.Since(asked)
}

// HasExited reports whether the process has ended.
func (p *Process) HasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

var announcement = regexp.MustCompile(`msg=listening for=clients address=(\S+)`)

// A processLog passes on what a process logs, line by line, and looks for where it
// listens and for reports of the race detector.
type processLog struct {
	t       testing.TB
	to      io.Writer
	line    []byte
	serving chan string // the URL, once
}

func newLog(t testing.TB, to io.Writer) *processLog {
	return &processLog{t: t, to: to, serving: make(chan string, 1)}
}

// Write implements [io.Writer]. One goroutine calls it: that of exec.
func (l *processLog) Write(p []byte) (int, error) {
	l.line = append(l.line, p...)
	for {
		line, rest, whole := bytes.Cut(l.line, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		l.take(string(line))
		l.line = rest
	}
}

func (l *processLog) take(line string) {
	_, _ = io.WriteString(l.to, line+"\n") // what is lost of a log fails no test
	if match := announcement.FindStringSubmatch(line); match != nil {
		select {
		case l.serving <- "http://" + match[1]:
		default:
		}
	}
	if strings.Contains(line, raceReport) {
		l.t.Error("the program has a data race")
	}
}

// A buffer may be read while it is written.
type buffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// Write implements [io.Writer].
func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
