package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"
)

type healthcheckCommand struct {
	Ops string `help:"Address of the ops listener." placeholder:"HOST:PORT" default:"127.0.0.1:9090" env:"PUSHSERVER_OPS_LISTEN"`
}

// Run requests /healthz and fails unless the server is healthy.
func (h *healthcheckCommand) Run(ctx context.Context) error {
	address, err := reachable(h.Ops)
	if err != nil {
		return fmt.Errorf("--ops %q: must be HOST:PORT", h.Ops)
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/healthz", nil)
	if err != nil {
		return fmt.Errorf("--ops %q: must be HOST:PORT", h.Ops)
	}
	// A proxy from the environment must not answer for this machine.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("no answer from %s: is the server running?", address)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", address, resp.Status)
	}
	return nil
}

// reachable returns the address at which this machine reaches one of its
// listeners: a wildcard address becomes loopback.
func reachable(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}
