// Package stand runs the real program for tests. It builds the program once per
// test process, starts servers and commands of it, publishes to them and reads
// from them.
package stand

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylogic/pushserver/internal/reaper"
	"github.com/paylogic/pushserver/internal/redistest"
)

// A Program is an executable.
type Program struct{ path string }

// Root is the folder of the module, as seen from the folder of a test package
// below test/.
var Root = filepath.Join("..", "..")

var built struct {
	once    sync.Once
	race    bool
	program Program
	dir     string
	err     error
	reaper  *reaper.Reaper // starts all processes, and never ends
}

// noExitSleep lets a program with the race detector end at once. Without it, each
// command sleeps for a second before it exits.
const noExitSleep = "atexit_sleep_ms=0"

// Main runs the tests of a package and then deletes the program. Every package
// that uses the stand calls it from TestMain. With race the program has the race
// detector if the tests have it. Without race it runs at its real speed.
func Main(m *testing.M, race bool) {
	built.race = race && RaceDetector
	os.Setenv("GORACE", noExitSleep)
	redistest.Main(m) // ends the cluster that tests share
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
}

// Pushserver returns the program, built from the source as it is.
func Pushserver(t testing.TB) Program {
	t.Helper()
	built.once.Do(func() {
		built.reaper = reaper.New()
		if built.dir, built.err = os.MkdirTemp("", "pushserver-stand-"); built.err != nil {
			return
		}
		var flags []string
		if built.race {
			flags = append(flags, "-race")
		}
		built.program, built.err = build(filepath.Join(built.dir, "pushserver"), flags...)
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.program
}

// Build builds the program with further flags of go build, until the test ends.
func Build(t testing.TB, flags ...string) Program {
	t.Helper()
	p, err := build(filepath.Join(t.TempDir(), "pushserver"), flags...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func build(path string, flags ...string) (Program, error) {
	args := append(append([]string{"build", "-buildvcs=false", "-o", path}, flags...), "./cmd/pushserver")
	cmd := exec.Command("go", args...)
	cmd.Dir = Root
	if out, err := cmd.CombinedOutput(); err != nil {
		return Program{}, errors.Join(err, errors.New(string(out)))
	}
	return Program{path}, nil
}

// commandLimit bounds one command.
const commandLimit = time.Minute

// Run runs a command of the program to its end.
func Run(t testing.TB, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(Pushserver(t).path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := built.reaper.Start(cmd); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(commandLimit, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	err := cmd.Wait()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", args[0], err)
	}
	if strings.Contains(errs.String(), raceReport) {
		t.Errorf("%s has a data race:\n%s", args[0], &errs)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// A Launch says how a process is started. The zero value works.
type Launch struct {
	Reaper *reaper.Reaper // nil: one that lives as long as the test program
	Log    io.Writer      // of what the process logs; nil: the output of the test
	Env    []string       // more variables
}

// Start starts the program. The test kills it, or else its end does.
func (p Program) Start(t testing.TB, l Launch, args ...string) *Process {
	t.Helper()
	if l.Log == nil {
		l.Log = t.Output()
	}
	started := &Process{t: t, cmd: exec.Command(p.path, args...), log: newLog(t, l.Log), exited: make(chan struct{})}
	started.cmd.Env = append(os.Environ(), l.Env...)
	started.cmd.Stdout, started.cmd.Stderr = &started.out, started.log
	starter := l.Reaper
	if starter == nil {
		Pushserver(t) // makes the reaper
		starter = built.reaper
	}
	if err := starter.Start(started.cmd); err != nil {
		t.Fatalf("start %s: %v", args[0], err)
	}
	go func() {
		_ = started.cmd.Wait() // the exit code says how it ended
		close(started.exited)
	}()
	t.Cleanup(started.Kill)
	return started
}
