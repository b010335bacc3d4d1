package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/auth"
)

func execute(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

// begin runs a command until the test ends, and returns its standard output.
func begin(t *testing.T, args ...string) *bufio.Scanner {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan int, 1)
	go func() {
		code := run(ctx, args, strings.NewReader(""), w, t.Output())
		w.Close()
		done <- code
	}()
	t.Cleanup(func() {
		cancel()
		r.Close()
		if code := <-done; code != exitOK {
			t.Errorf("%v ended with %d, want %d", args[0], code, exitOK)
		}
	})
	return bufio.NewScanner(r)
}

func beginDev(t *testing.T) introduction {
	t.Helper()
	out := begin(t, "dev", "--listen", "127.0.0.1:0", "--json")
	if !out.Scan() {
		t.Fatal("dev --json printed nothing")
	}
	var intro introduction
	if err := json.Unmarshal(out.Bytes(), &intro); err != nil {
		t.Fatalf("first line of dev --json is %q: %v", out.Text(), err)
	}
	return intro
}

func TestPublishedEventReachesItsMerchantAlone(t *testing.T) {
	dev := beginDev(t)
	publish := func(merchant, data string) {
		t.Helper()
		code, _, errs := execute(t, data, "publish", "--url", dev.URL, "--key", dev.PublisherKey,
			"--merchant", merchant, "--type", "payment.paid", "-")
		if code != exitOK {
			t.Fatalf("publish to %s ended with %d: %s", merchant, code, errs)
		}
	}
	publish("globex", `{"for":"globex"}`)
	publish("acme", `{"n":9007199254740993}`)

	events := begin(t, "listen", "--url", dev.URL, "--key", dev.Keys["acme"], "--since", "1h", "--json")
	if !events.Scan() {
		t.Fatal("listen printed nothing")
	}
	var got struct {
		ID, Event string
		Data      struct{ Data json.RawMessage }
	}
	if err := json.Unmarshal(events.Bytes(), &got); err != nil {
		t.Fatalf("listen --json printed %q: %v", events.Text(), err)
	}
	if got.ID == "" || got.Event != "payment.paid" || string(got.Data.Data) != `{"n":9007199254740993}` {
		t.Errorf("listen --json printed %s", events.Text())
	}
}

func TestListenGivesUpOnARefusedKey(t *testing.T) {
	dev := beginDev(t)
	code, _, errs := execute(t, "", "listen", "--url", dev.URL, "--key", auth.Mint(auth.Live).Reveal())
	if code != exitFailed || strings.Count(errs, "\n") != 1 {
		t.Errorf("listen with an unknown key ended with %d and said %q, want %d and one line", code, errs, exitFailed)
	}
}

func TestHealthcheckAnswersByExitCode(t *testing.T) {
	dev := beginDev(t)
	ops := strings.TrimPrefix(dev.OpsURL, "http://")
	t.Setenv("PUSHSERVER_OPS_LISTEN", ops)
	if code, _, errs := execute(t, "", "healthcheck"); code != exitOK {
		t.Errorf("healthcheck of a running server ended with %d: %s", code, errs)
	}
	if code, _, _ := execute(t, "", "healthcheck", "--ops", closedPort(t)); code != exitFailed {
		t.Errorf("healthcheck of nothing ended with %d, want %d", code, exitFailed)
	}
}

// closedPort returns an address without a listener.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestTakenPortIsSaidWithTheWayOut(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	code, _, errs := execute(t, "", "dev", "--listen", l.Addr().String())
	if code != exitFailed || !strings.Contains(errs, "--listen") || strings.Count(errs, "\n") != 1 {
		t.Errorf("dev on a taken port ended with %d and said %q", code, errs)
	}
}

func TestBadInputIsRefusedInOneLineThatNamesIt(t *testing.T) {
	url := "http://127.0.0.1:1" // never asked: the input is refused before
	create := []string{"keys", "create", "--redis", "127.0.0.1:1", "--kind", "live", "--merchant", "acme"}
	publish := []string{"publish", "--url", url, "--key", "k", "--merchant", "acme", "--type", "a.b"}
	tests := []struct {
		args []string
		code int
		says string
	}{
		{[]string{"serve", "--durability", "maybe"}, exitUsage, "durability"},
		{[]string{"serve", "--heartbeat", "0s"}, exitUsage, "--heartbeat"},
		{[]string{"serve", "--dup-window", "59s"}, exitUsage, "--dup-window"},
		{[]string{"serve", "--retain-events", "0"}, exitUsage, "--retain-events"},
		{[]string{"serve", "--limits", "streams=0"}, exitFailed, "--limits: streams must be"},
		{[]string{"serve", "--limits", "off,streams=5"}, exitFailed, "--limits: limits must be among streams, connects, requests, publishes, deliveries, replay, filters, tokens, each with = and a quota; \"off\" is unknown"},
		{[]string{"serve", "--tls-cert", "a"}, exitUsage, "--tls-key"},
		{[]string{"serve", "--redis", "nowhere"}, exitFailed, "HOST:PORT"},
		{[]string{"serve", "--data", "x", "--redis", "127.0.0.1:1"}, exitUsage, "--data and --redis exclude each other"},
		{[]string{"fly"}, exitUsage, "fly"},
		{[]string{"keys", "list"}, exitFailed, "--redis"},
		{append(create, "--types", "pay*ment"), exitFailed, "--types"},
		{append(create, "--filter", "data.amount >"), exitFailed, "--filter"},
		{append(create, "--limits", "streams=5,colours=5"), exitFailed, "--limits: limits must be among streams, connects, requests, publishes, deliveries, replay, filters, tokens, each with = and a quota; \"colours\" is unknown"},
		{append(create, "--limits", "streams=5,streams=6"), exitFailed, "--limits: streams must be given only once"},
		{append(create, "--expires", "soon"), exitFailed, "--expires"},
		{append(create, "--merchant", "No One"), exitFailed, "--merchant"},
		{[]string{"keys", "revoke", "--redis", "127.0.0.1:1", auth.Mint(auth.Live).Reveal()}, exitUsage, "pass its id"},
		{append(publish, "hello"), exitFailed, "DATA must be JSON"},
		{[]string{"listen", "--url", "ftp://x", "--key", "k"}, exitFailed, "--url"},
		{[]string{"listen", "--url", url, "--key", ""}, exitFailed, "--key is empty"},
	}
	for _, tt := range tests {
		code, out, errs := execute(t, "", tt.args...)
		if code != tt.code || !strings.HasPrefix(errs, "pushserver: ") || !strings.Contains(errs, tt.says) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v ended with %d and said %q, want %d and one line with %q", tt.args, code, errs, tt.code, tt.says)
		}
		if out != "" {
			t.Errorf("%v printed %q, want nothing", tt.args, out)
		}
	}
}

func TestVariablesStandForFlags(t *testing.T) {
	t.Setenv("PUSHSERVER_RETAIN_EVENTS", "-1")
	if code, _, errs := execute(t, "", "serve"); code != exitUsage || !strings.Contains(errs, "--retain-events") {
		t.Errorf("serve ended with %d and said %q, want the variable refused", code, errs)
	}
}

func TestExpiryIsATimeOrHowLongFromNow(t *testing.T) {
	now := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		in   string
		want time.Time // zero: refused
	}{
		{"720h", now.Add(720 * time.Hour)},
		{"30d", now.AddDate(0, 0, 30)},
		{"2025-06-01T12:00:00Z", time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)},
		{"-1h", time.Time{}},
		{"0d", time.Time{}},
		{"99999999d", time.Time{}},
		{"tomorrow", time.Time{}},
	}
	for _, tt := range tests {
		got, err := parseExpiry(tt.in, now)
		if !got.Equal(tt.want) || (err == nil) == tt.want.IsZero() {
			t.Errorf("parseExpiry(%q) = %v, %v, want %v", tt.in, got, err, tt.want)
		}
	}
}
