package redistest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/paylogic/pushserver/internal/reaper"
)

const childDir = "REDISTEST_CHILD_DIR"

// With childDir set this binary is the program that TestServersDieWithTheirProgram
// kills: it starts a server, says which and waits.
func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	n := &Node{reaper: reaper.New()}
	ports, err := freePorts(1)
	if err == nil {
		n.port = ports[0]
		n.server, err = findServer()
	}
	if err == nil {
		err = n.create(dir, Options{})
	}
	if err == nil {
		err = n.awaitAnswer(context.Background())
	}
	fmt.Println(n.PID(), err)
	select {}
}

func TestServersDieWithTheirProgram(t *testing.T) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+t.TempDir())
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	_ = child.Process.Kill()
	_ = child.Wait()
	if err != nil {
		t.Fatalf("the child said nothing: %v", err)
	}
	pid, problem, _ := strings.Cut(strings.TrimSpace(line), " ")
	if problem != "<nil>" {
		t.Fatalf("the child's server did not start: %s", problem)
	}
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	if err := await(ctx, func(context.Context) error { return alive(pid) }); err != nil {
		t.Errorf("the server outlived its program: %v", err)
	}
}

// alive returns an error while a process runs; one that is dead and unburied
// does not.
func alive(pid string) error {
	if _, err := strconv.Atoi(pid); err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil || strings.Contains(string(status), "State:\tZ") {
		return nil
	}
	return fmt.Errorf("process %s runs", pid)
}
