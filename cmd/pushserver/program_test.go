package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// asProgram makes a test binary that finds it in its environment the program
// itself: a process of its own, which can be killed.
const asProgram = "PUSHSERVER_TEST_AS_PROGRAM"

func init() {
	if os.Getenv(asProgram) != "" {
		os.Unsetenv(asProgram)
		main()
	}
}

// A program is a process that serves.
type program struct {
	cmd    *exec.Cmd
	url    string
	out    bytes.Buffer  // its standard output, once it has ended
	logged chan struct{} // closed when it has said its last
}

// startProgram runs the program with these arguments and returns when it serves.
// The test kills it, or else its end does.
func startProgram(t *testing.T, args ...string) *program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{cmd: exec.Command(self, args...), logged: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), asProgram+"=1")
	p.cmd.Stdout = &p.out
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	found := make(chan string, 1)
	go func() {
		defer close(p.logged)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if match := announcement.FindStringSubmatch(lines.Text()); match != nil {
				found <- "http://" + match[1]
				continue
			}
			fmt.Fprintln(t.Output(), lines.Text())
			if strings.Contains(lines.Text(), "DATA RACE") {
				t.Error("the program has a data race")
			}
		}
	}()
	select {
	case p.url = <-found:
	case <-p.logged:
		t.Fatalf("%v ended before it served", args)
	}
	return p
}

// end ends the process in good order.
func (p *program) end(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.logged
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the program ended with %v", err)
	}
}

// kill ends the process at once, whatever it is doing.
func (p *program) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill() // it may have ended by itself
		<-p.logged
		_ = p.cmd.Wait()
	}
}
