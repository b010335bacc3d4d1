//go:build linux

package main

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
)

// An instance is one gateway of a trial: a process of the real program, at
// addresses that it keeps when it is started again.
type instance struct {
	t            *testing.T
	program      executable
	in           *place
	address, ops string
	args         []string
	log          string
	client       *http.Client // for its publisher
	opsClient    *http.Client

	mu      sync.Mutex // guards the following
	running *process
}

// process returns the process that runs, or ran last.
func (i *instance) process() *process {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.running
}

// newInstance returns an instance that is not yet begun.
func newInstance(t *testing.T, e executable, in *place, args ...string) *instance {
	t.Helper()
	addresses := freeAddresses(t, 2)
	i := &instance{
		t: t, program: e, in: in, address: addresses[0], ops: addresses[1],
		log: filepath.Join(t.TempDir(), "gateway.log"),
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
	started := i.program.start(i.t, i.in, i.log, i.args...)
	i.mu.Lock()
	i.running = started
	i.mu.Unlock()
	ctx, cancel := context.WithTimeout(i.t.Context(), 20*time.Second)
	defer cancel()
	for {
		if conn, err := i.dial(ctx, 0); err == nil {
			conn.Close()
			return
		}
		if started.hasExited() || pause(ctx, 10*time.Millisecond) != nil {
			i.t.Fatalf("a gateway did not begin:\n%s", started.tail())
		}
	}
}

// dial connects to the instance.
func (i *instance) dial(ctx context.Context, receive int) (*net.TCPConn, error) {
	return i.in.dial(ctx, i.address, receive)
}

// A reading is what an instance needs at one moment.
type reading struct {
	goroutines, descriptors int
	memory                  int // bytes, resident
	streams                 int
}

// read asks the instance for its figures. Connections to Redis are left out of
// the descriptors: a pool keeps what one busy moment needed.
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

// connections returns how many connections the process has to Redis, whose ports
// are those that it was told, and those of nodes that came later.
func (i *instance) connections() int {
	proc := fmt.Sprintf("/proc/%d/", i.process().cmd.Process.Pid)
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
			count++ // see redistest: its servers have these, and no client does
		}
	}
	return count
}
