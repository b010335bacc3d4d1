package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/r3labs/sse/v2"
	gosse "github.com/tmaxmax/go-sse"
)

// deliver runs a client until the test ends. The client shows its events to
// emit.
func deliver(t *testing.T, client func(ctx context.Context, emit func(delivery))) inbox {
	ctx, cancel := context.WithCancel(t.Context())
	out := make(chan delivery)
	var running sync.WaitGroup
	running.Go(func() {
		defer close(out)
		client(ctx, func(d delivery) {
			select {
			case out <- d:
			case <-ctx.Done():
			}
		})
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return out
}

// newTransport returns a transport whose connections end with the test.
func newTransport(t *testing.T) *http.Transport {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func beginGoSSE(t *testing.T, address, key string) inbox {
	client := &gosse.Client{
		HTTPClient: &http.Client{Transport: newTransport(t)},
		Backoff:    gosse.Backoff{InitialInterval: 100 * time.Millisecond, Multiplier: 1, Jitter: -1},
	}
	return deliver(t, func(ctx context.Context, emit func(delivery)) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+firstPath, nil)
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Authorization", "Bearer "+key)
		conn := client.NewConnection(req)
		conn.SubscribeToAll(func(e gosse.Event) {
			emit(delivery{ID: e.LastEventID, Event: e.Type, Data: e.Data})
		})
		if err := conn.Connect(); ctx.Err() == nil {
			t.Errorf("go-sse gave up: %v", err)
		}
	})
}

// A steady pace is a backoff for r3labs that retries until its context is done.
type steady struct{ ctx context.Context }

func (s steady) Reset() {}

func (s steady) NextBackOff() time.Duration {
	if s.ctx.Err() != nil {
		return -1 // stop
	}
	return 100 * time.Millisecond
}

func beginR3labs(t *testing.T, address, key string) inbox {
	return deliver(t, func(ctx context.Context, emit func(delivery)) {
		client := sse.NewClient("http://" + address + firstPath)
		client.Headers["Authorization"] = "Bearer " + key
		client.Connection.Transport = newTransport(t)
		client.ReconnectStrategy = steady{ctx}
		// It does not reconnect after a connection that ended without an error.
		for ctx.Err() == nil {
			err := client.SubscribeRawWithContext(ctx, func(e *sse.Event) {
				emit(delivery{ID: string(e.ID), Event: string(e.Event), Data: string(e.Data)})
			})
			if err != nil && ctx.Err() == nil {
				t.Errorf("r3labs gave up: %v", err)
				return
			}
		}
	})
}

func beginEventSource(t *testing.T, address, key string) inbox {
	t.Helper()
	if _, err := os.Stat("testdata/foreign/node_modules/eventsource"); err != nil {
		t.Fatalf("the npm package eventsource is not installed: run make test, which installs it (%v)", err)
	}
	return beginProgram(t, t.Context(), readLines, "node", "testdata/foreign/eventsource.js", "http://"+address+firstPath, key)
}

func beginPython(t *testing.T, address, key string) inbox {
	t.Helper()
	return beginProgram(t, t.Context(), readLines, "python3", "testdata/foreign/stream.py", address, firstPath, key)
}

// beginCurl runs curl as the documentation shows it.
func beginCurl(t *testing.T, ctx context.Context, url, key string, more ...string) inbox {
	t.Helper()
	args := append([]string{"-N", "-sS", url, "-H", "Authorization: Bearer " + key}, more...)
	return beginProgram(t, ctx, readStream, "curl", args...)
}

// beginProgram runs a program until ctx or the test ends. read parses its output.
func beginProgram(t *testing.T, ctx context.Context, read func(*testing.T, io.Reader, func(delivery)), name string, args ...string) inbox {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatalf("%s cannot be run: run make test, which installs it (%v)", name, err)
	}
	t.Cleanup(cancel)
	return deliver(t, func(gone context.Context, emit func(delivery)) {
		context.AfterFunc(gone, cancel)
		read(t, out, emit)
		if err := cmd.Wait(); ctx.Err() == nil {
			t.Errorf("%s ended by itself: %v", name, err)
		}
	})
}

// readLines reads one delivery, in JSON, from each line.
func readLines(t *testing.T, r io.Reader, emit func(delivery)) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var d delivery
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			t.Errorf("the program printed %q: %v", lines.Text(), err)
			continue
		}
		emit(d)
	}
}

// readStream reads the fields of server-sent events as curl prints them.
func readStream(t *testing.T, r io.Reader, emit func(delivery)) {
	var d delivery
	var data []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			d.ID = value
		case "event":
			d.Event = value
		case "data":
			data = append(data, value)
		case "retry":
		case "":
			if lines.Text() == "" && data != nil {
				d.Data = strings.Join(data, "\n")
				emit(d)
				d, data = delivery{}, nil
			}
		default:
			t.Errorf("curl printed %q", lines.Text())
		}
	}
}
