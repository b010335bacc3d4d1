//go:build linux

package faults

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylogic/pushserver/test/stand"
)

// An instance is one gateway of a trial: a process of the real program. It keeps
// its addresses when it is started again.
type instance struct {
	t            *testing.T
	program      stand.Program
	in           *netns
	address, ops string
	args, env    []string
	log          string       // a file with what all its processes logged
	client       *http.Client // for its publisher
	opsClient    *http.Client

	mu      sync.Mutex // guards the following
	running *stand.Process
}

// process returns the process that runs, or ran last.
func (i *instance) process() *stand.Process {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.running
}

// newInstance returns an instance that is not started yet.
func newInstance(t *testing.T, s *fixture, m *mutation, in *netns, args ...string) *instance {
	t.Helper()
	addresses := stand.FreeAddresses(t, 2)
	i := &instance{
		t: t, program: s.program, in: in, address: addresses[0], ops: addresses[1],
		log: filepath.Join(t.TempDir(), "gateway.log"),
	}
	if m != nil {
		i.program, i.env = s.mutant, []string{mutantVariable + "=" + m.name}
	}
	i.args = append([]string{"serve", "--listen", i.address, "--ops-listen", i.ops, "--heartbeat", "1s",
		"--max-stream-age", "0", "--state-types", stateType}, args...)
	dial := func(ctx context.Context, _, address string) (net.Conn, error) { return in.dial(ctx, address, 0) }
	transport := &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 256}
	i.client = &http.Client{Timeout: 5 * time.Second, Transport: transport}
	i.opsClient = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	t.Cleanup(transport.CloseIdleConnections)
	return i
}

// begin starts the process and returns when it takes connections.
func (i *instance) begin() {
	i.t.Helper()
	log, err := os.OpenFile(i.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(func() { log.Close() }) // after its process has ended
	started := i.program.Start(i.t, stand.Launch{Reaper: i.in.Reaper, Log: log, Env: i.env}, i.args...)
	i.mu.Lock()
	i.running = started
	i.mu.Unlock()
	started.AwaitServing()
}

// tail returns the end of what the processes logged.
func (i *instance) tail() string {
	log, err := os.ReadFile(i.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-25):], "\n")
}

// dial connects to the instance.
func (i *instance) dial(ctx context.Context, receive int) (*net.TCPConn, error) {
	return i.in.dial(ctx, i.address, receive)
}

// A reading is what an instance uses at one moment.
type reading struct {
	goroutines, descriptors int
	memory                  int // bytes, resident
	streams                 int
}

// read returns the instance's figures. The descriptors do not include connections to
// Redis, because a pool keeps what one busy moment needed.
func (i *instance) read(ctx context.Context) (r reading, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+i.ops+"/metrics", nil)
	if err != nil {
		return r, err
	}
	resp, err := i.opsClient.Do(req)
	if err != nil {
		return r, err
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, text, _ := strings.Cut(lines.Text(), " ")
		value, _ := strconv.ParseFloat(text, 64)
		switch name {
		case "go_goroutines":
			r.goroutines = int(value)
		case "process_open_fds":
			r.descriptors = int(value)
		case "process_resident_memory_bytes":
			r.memory = int(value)
		case "pushserver_subscriptions":
			r.streams = int(value)
		}
	}
	if r.goroutines == 0 || r.descriptors == 0 || r.memory == 0 {
		return r, fmt.Errorf("/metrics lacks a figure: %+v", r)
	}
	r.descriptors -= i.connections()
	return r, nil
}

// connections returns how many connections the process has to Redis, nodes that were
// added later included.
func (i *instance) connections() int {
	proc := fmt.Sprintf("/proc/%d/", i.process().PID())
	own := make(map[string]bool) // by inode
	files, _ := os.ReadDir(proc + "fd")
	for _, file := range files {
		if target, err := os.Readlink(proc + "fd/" + file.Name()); err == nil {
			own[strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")] = true
		}
	}
	table, _ := os.ReadFile(proc + "net/tcp")
	count := 0
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) < 10 || !own[f[9]] {
			continue
		}
		_, port, _ := strings.Cut(f[2], ":")
		if remote, err := strconv.ParseUint(port, 16, 16); err == nil && 12000 <= remote && remote < 32000 {
			count++ // only the servers of redistest have these ports
		}
	}
	return count
}
