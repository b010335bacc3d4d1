//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/internal/redistest"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

// build compiles the pushserver of this module into dir.
func build(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "pushserver")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/paylogic/pushserver/cmd/pushserver")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build pushserver (give a program with --server): %w", err)
	}
	return program, nil
}

// attach returns a server that runs already.
func attach(address, publisher string, keys map[string]string, pid int) (*server, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || u.Path != "" && u.Path != "/" {
		return nil, fmt.Errorf("--url %q: must be http://HOST:PORT", address)
	}
	host, port, err := net.SplitHostPort(u.Host)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() || ip.To4() == nil {
		return nil, fmt.Errorf("--url %q: must have an IPv4 loopback address and a port", address)
	}
	s := &server{addr: net.JoinHostPort(host, port), pid: pid, publisher: publisher}
	for _, merchant := range slices.Sorted(maps.Keys(keys)) { // the same ones each time
		s.tenants = append(s.tenants, tenant{merchant, keys[merchant]})
	}
	return s, nil
}

// startDev runs a server that keeps everything in memory.
func startDev(ctx context.Context, program string) (*server, error) {
	c, err := startChild(ctx, program, "dev", "--json", "--listen", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	var intro struct {
		URL          string            `json:"url"`
		PublisherKey string            `json:"publisher_key"`
		Keys         map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(c.first, &intro); err != nil {
		c.stop()
		return nil, fmt.Errorf("first line of %s dev: %w", program, err)
	}
	s, err := attach(intro.URL, intro.PublisherKey, intro.Keys, c.pid())
	if err != nil {
		c.stop()
		return nil, err
	}
	s.child = c
	s.another = func(ctx context.Context) (*server, error) { return startDev(ctx, program) }
	return s, nil
}

// A backend is a Redis Cluster with the keys in it, for servers that come and
// go.
type backend struct {
	cluster   *redistest.Cluster
	addrs     []string
	publisher string
	limited   string            // as publisher, with the server's limits
	keys      map[string]string // by merchant
}

// openBackend starts a cluster and makes the keys itself: a thousand runs of
// pushserver keys create would take longer than the measurement.
func openBackend(ctx context.Context, merchants int) (*backend, error) {
	// A Redis that rewrites its file takes a core for a second or more, at a moment
	// that has nothing to do with what is measured.
	cluster, err := redistest.Open(ctx, redistest.Options{Config: map[string]string{"auto-aof-rewrite-percentage": "0"}})
	if err != nil {
		return nil, err
	}
	b := &backend{cluster: cluster, keys: make(map[string]string)}
	for _, node := range cluster.Nodes() {
		b.addrs = append(b.addrs, node.Addr())
	}
	if err := b.issue(ctx, merchants); err != nil {
		b.cluster.Close()
		return nil, fmt.Errorf("make keys: %w", err)
	}
	return b, nil
}

func (b *backend) issue(ctx context.Context, merchants int) error {
	log, err := eventlog.OpenRedisLog(ctx, eventlog.RedisOptions{Addrs: b.addrs, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer log.Close()
	store := auth.NewRedisStore(log.Client(), auth.RedisOptions{})
	limits := policy.Largest()
	issue := func(key auth.Key) (string, error) {
		secret, _, err := auth.Issue(ctx, store, key)
		if err != nil {
			return "", err
		}
		return secret.Reveal(), nil
	}
	if b.publisher, err = issue(auth.Key{Kind: auth.Pub, Name: "bench", Limits: limits}); err != nil {
		return err
	}
	if b.limited, err = issue(auth.Key{Kind: auth.Pub, Name: "limited"}); err != nil {
		return err
	}
	for i := range merchants {
		merchant := fmt.Sprintf("m%d", i)
		b.keys[merchant], err = issue(auth.Key{Kind: auth.Live, Merchant: merchant, Name: "bench", Clause: filter.Clause{Types: []string{"bench.*"}}, Limits: limits})
		if err != nil {
			return err
		}
	}
	return nil
}

// serve runs a server over the cluster.
func (b *backend) serve(ctx context.Context, program string, flags ...string) (*server, error) {
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	ops, err := freeAddress()
	if err != nil {
		return nil, err
	}
	args := []string{"serve", "--redis", strings.Join(b.addrs, ","), "--listen", listen, "--ops-listen", ops}
	c, err := launch(nil, program, nil, append(args, flags...)...)
	if err != nil {
		return nil, err
	}
	s, err := attach("http://"+listen, b.publisher, b.keys, c.pid())
	if err == nil {
		err = awaitReady(ctx, "http://"+ops+"/readyz")
	}
	if err != nil {
		c.stop()
		return nil, fmt.Errorf("%w\n%s", err, c.log)
	}
	s.child, s.limited = c, b.limited
	s.another = func(ctx context.Context) (*server, error) { return serveAlone(ctx, program) }
	s.unlimited = func(ctx context.Context) (*server, error) { return b.serve(ctx, program, "--limits", "off") }
	return s, nil
}

// serveAlone runs a server over a cluster of its own.
func serveAlone(ctx context.Context, program string) (*server, error) {
	b, err := openBackend(ctx, 2)
	if err != nil {
		return nil, err
	}
	s, err := b.serve(ctx, program)
	if err != nil {
		b.cluster.Close()
		return nil, err
	}
	s.storage = b.cluster
	return s, nil
}

// freeAddress returns an address that is free right now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func awaitReady(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return errors.New("pushserver does not become ready")
		}
	}
}
