package redistest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/paylogic/pushserver/internal/reaper"
)

const host = "127.0.0.1"

var (
	errPortTaken = errors.New("a port that was free is taken")
	errExited    = errors.New("the server has exited")
	errNoServer  = errors.New("redis-server is not installed: install version 7.0 or newer, " +
		"on Debian and Ubuntu with `apt-get install -y redis-server`")
)

// A Node is one redis-server, whose port and folder never change.
type Node struct {
	server  string
	dir     string
	port    int
	busPort int // zero without cluster mode
	reaper  *reaper.Reaper
	disk    *disk // nil: the disk of dir
	fatal   func(error)

	mu     sync.Mutex // guards the following
	cmd    *exec.Cmd
	conn   *conn
	exited chan struct{} // closed when cmd has ended; nil before the first start
	paused bool
	id     string // of the node in its cluster, once asked
}

// Addr returns the node's host and port.
func (n *Node) Addr() string { return net.JoinHostPort(host, strconv.Itoa(n.port)) }

// String is Addr, for test output.
func (n *Node) String() string { return n.Addr() }

// PID returns the process ID of the server that runs, or ran last.
func (n *Node) PID() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cmd.Process.Pid
}

// Kill ends the server with SIGKILL, paused or not, and returns when it is gone.
// The content of its append-only file is back after Restart.
func (n *Node) Kill() {
	n.mu.Lock()
	cmd, conn, exited := n.cmd, n.conn, n.exited
	n.mu.Unlock()
	if exited == nil {
		return
	}
	_ = cmd.Process.Kill() // it may have exited by itself
	<-exited
	conn.close()
}

// Pause stops the server with SIGSTOP: its sockets stay open and silent.
func (n *Node) Pause() { n.signal(syscall.SIGSTOP, true) }

// Resume continues a paused server.
func (n *Node) Resume() { n.signal(syscall.SIGCONT, false) }

func (n *Node) signal(sig os.Signal, paused bool) {
	n.mu.Lock()
	err := n.cmd.Process.Signal(sig)
	n.paused = paused
	n.mu.Unlock()
	if err != nil {
		n.fatal(fmt.Errorf("redistest: send %v to %s: %w", sig, n, err))
	}
}

// Restart starts the server again with the same port and files, and returns when it
// has loaded them and answers. It kills a server that still runs. The other nodes
// may take longer to accept it: see [Cluster.AwaitHealthy].
func (n *Node) Restart() {
	n.Kill()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	err := n.spawn()
	if err == nil {
		err = n.awaitAnswer(ctx)
	}
	if err != nil {
		n.fatal(fmt.Errorf("redistest: restart %s: %w\n%s", n, err, n.logTail()))
	}
}

// Do sends one command and returns its answer: nil, int64, string, []any and so
// on. An error, Redis's own included, is fatal.
func (n *Node) Do(args ...any) any {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	answer, err := n.ask(ctx, args...)
	if err != nil {
		n.fatal(fmt.Errorf("redistest: %w", err))
	}
	return answer
}

func (n *Node) ask(ctx context.Context, args ...any) (any, error) {
	n.mu.Lock()
	conn := n.conn
	n.mu.Unlock()
	answer, err := conn.do(ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("%v on %s: %w", args[:min(len(args), 3)], n, err)
	}
	return answer, nil
}

func (n *Node) tell(ctx context.Context, args ...any) error {
	_, err := n.ask(ctx, args...)
	return err
}

// text is ask for commands that answer with one string.
func (n *Node) text(ctx context.Context, args ...any) (string, error) {
	answer, err := n.ask(ctx, args...)
	if err != nil {
		return "", err
	}
	s, ok := answer.(string)
	if !ok {
		return "", fmt.Errorf("%v on %s: answered %T", args, n, answer)
	}
	return s, nil
}

func (n *Node) identity(ctx context.Context) (string, error) {
	n.mu.Lock()
	id := n.id
	n.mu.Unlock()
	if id != "" {
		return id, nil
	}
	id, err := n.text(ctx, "CLUSTER", "MYID")
	if err != nil {
		return "", err
	}
	n.mu.Lock()
	n.id = id
	n.mu.Unlock()
	return id, nil
}

func (n *Node) running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.paused && !n.hasExited()
}

// hasExited needs n.mu.
func (n *Node) hasExited() bool {
	select {
	case <-n.exited:
		return true
	default:
		return false
	}
}

// create makes the node's folder inside parent and starts its server.
func (n *Node) create(parent string, options Options) error {
	dir := filepath.Join(parent, strconv.Itoa(n.port))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("make a folder for a node: %w", err)
	}
	n.dir = dir
	conf := n.conf(options)
	if err := os.WriteFile(filepath.Join(dir, "redis.conf"), []byte(conf), 0o600); err != nil {
		return fmt.Errorf("write a node's settings: %w", err)
	}
	if n.disk != nil {
		if err := n.disk.mount(n.data()); err != nil {
			return fmt.Errorf("make a disk for a node: %w", err)
		}
	}
	return n.spawn()
}

func (n *Node) conf(options Options) string {
	settings := map[string]string{
		"bind":                     host,
		"port":                     strconv.Itoa(n.port),
		"save":                     `""`,
		"appendonly":               "yes",
		"appendfsync":              "everysec",
		"maxmemory-policy":         "noeviction",
		"repl-diskless-sync":       "yes",
		"repl-diskless-sync-delay": "0",
	}
	if n.busPort != 0 {
		timeout := options.NodeTimeout
		if timeout == 0 {
			timeout = 2 * time.Second
		}
		maps.Copy(settings, map[string]string{
			"cluster-enabled":               "yes",
			"cluster-port":                  strconv.Itoa(n.busPort),
			"cluster-node-timeout":          strconv.FormatInt(timeout.Milliseconds(), 10),
			"cluster-require-full-coverage": "no",
			// A replica may be elected however long it heard nothing, as after a
			// pause. It never moves to another master.
			"cluster-replica-validity-factor": "0",
			"cluster-migration-barrier":       "100",
		})
	}
	if n.disk != nil {
		settings["dir"] = n.data()
		settings["cluster-config-file"] = filepath.Join(n.dir, "nodes.conf") // a node that cannot write it exits
	}
	maps.Copy(settings, options.Config)
	var b strings.Builder
	for _, directive := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "%s %s\n", directive, settings[directive])
	}
	return b.String()
}

func (n *Node) spawn() error {
	log, err := os.OpenFile(n.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open a node's log: %w", err)
	}
	defer log.Close() // the server has its own descriptor
	cmd := exec.Command(n.server, "redis.conf")
	cmd.Dir = n.dir
	cmd.Stdout, cmd.Stderr = log, log
	if err := n.reaper.Start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", n.server, err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the log says how it ended
		close(exited)
	}()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cmd, n.conn, n.exited, n.paused = cmd, dial(n.Addr()), exited, false
	if n.disk != nil {
		return n.disk.limit(cmd.Process.Pid)
	}
	return nil
}

// awaitAnswer returns when the server has loaded its files and takes commands.
func (n *Node) awaitAnswer(ctx context.Context) error {
	return await(ctx, func(ctx context.Context) error {
		n.mu.Lock()
		gone := n.hasExited()
		n.mu.Unlock()
		if gone && strings.Contains(n.logTail(), "Address already in use") {
			return errors.Join(errPortTaken, errExited)
		}
		if gone {
			return fmt.Errorf("%s: %w", n, errExited)
		}
		// A plain dial first: the client backs off after refusals.
		knock, err := (&net.Dialer{}).DialContext(ctx, "tcp", n.Addr())
		if err != nil {
			return err
		}
		knock.Close()
		if err := n.tell(ctx, "PING"); err != nil {
			return err
		}
		info, err := n.info(ctx, "INFO", "server")
		if err == nil && info["process_id"] != strconv.Itoa(n.PID()) {
			err = errPortTaken // by another server; ours is about to notice
		}
		return err
	})
}

// data returns where a node with a disk of its own keeps its data.
func (n *Node) data() string { return filepath.Join(n.dir, "disk") }

func (n *Node) logFile() string { return filepath.Join(n.dir, "node.log") }

// logTail returns the last lines of the node's log under a heading.
func (n *Node) logTail() string {
	if n.dir == "" {
		return ""
	}
	log, err := os.ReadFile(n.logFile())
	if err != nil {
		return fmt.Sprintf("--- %s has no log: %v\n", n, err)
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	lines = lines[max(0, len(lines)-15):]
	return fmt.Sprintf("--- end of the log of %s:\n%s\n", n, strings.Join(lines, "\n"))
}
