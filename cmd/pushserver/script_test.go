package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/paylogic/pushserver/internal/redistest"
)

// TestMain makes this program a command of the scripts.
func TestMain(m *testing.M) {
	os.Setenv("GORACE", "atexit_sleep_ms=0") // a program with the race detector sleeps for a second before it exits
	testscript.Main(m, map[string]func(){"pushserver": main})
}

// TestScripts runs the scripts in testdata. Each tells one story of the product with
// the commands that people type.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:      "testdata",
		Deadline: time.Now().Add(2 * time.Minute),
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"introduce": introduce,
			"await":     await,
			"redis":     func(ts *testscript.TestScript, neg bool, args []string) { startRedis(t, ts, neg, args) },
		},
	})
}

// introduce waits for the first line of dev --json in a file, and sets URL, OPS,
// PUB, ADMIN and the keys of each merchant from it: ACME, ACME_TEST and so on.
func introduce(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: introduce FILE")
	}
	var intro introduction
	ts.Check(json.Unmarshal(awaitMatch(ts, args[0], `^.*\n`)[0], &intro))
	ts.Setenv("URL", intro.URL)
	ts.Setenv("OPS", intro.OpsURL)
	ts.Setenv("PUB", intro.PublisherKey)
	ts.Setenv("ADMIN", intro.AdminKey)
	for merchant, name := range map[string]string{"acme": "ACME", "globex": "GLOBEX"} {
		ts.Setenv(name, intro.Keys[merchant])
		ts.Setenv(name+"_TEST", intro.TestKeys[merchant])
	}
}

// await waits until a file matches a pattern, and sets the variable to what the
// first group of the pattern matched.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: await FILE PATTERN [VARIABLE]")
	}
	match := awaitMatch(ts, args[0], args[1])
	if len(args) == 3 {
		ts.Setenv(args[2], string(match[1]))
	}
}

func awaitMatch(ts *testscript.TestScript, file, pattern string) [][]byte {
	expression, err := regexp.Compile(pattern)
	ts.Check(err)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		text, _ := os.ReadFile(ts.MkAbs(file)) // it may not be there yet
		if match := expression.FindSubmatch(text); match != nil {
			return match
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not match %s: %s", file, pattern, bytes.TrimSpace(text))
		}
	}
}

// startRedis starts a Redis without replicas, and sets REDIS, REDIS_HOST and
// REDIS_PORT. It runs until all scripts have ended.
func startRedis(t *testing.T, ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: redis")
	}
	addr := redistest.StartStandalone(t).Addr()
	host, port, err := net.SplitHostPort(addr)
	ts.Check(err)
	ts.Setenv("REDIS", addr)
	ts.Setenv("REDIS_HOST", host)
	ts.Setenv("REDIS_PORT", port)
}
