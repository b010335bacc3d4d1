package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes this program a command of the scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"pushserver": main})
}

// TestScripts runs the scripts in testdata: what the program does as a whole, as
// people type it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:      "testdata",
		Deadline: time.Now().Add(time.Minute),
		Cmds:     map[string]func(*testscript.TestScript, bool, []string){"introduce": introduce},
	})
}

// introduce waits for the first line of dev --json in a file, and sets URL, OPS,
// PUB, ADMIN and the keys of each merchant from it: ACME, ACME_TEST and so on.
func introduce(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: introduce FILE")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var line []byte
	for deadline := time.Now().Add(20 * time.Second); ; {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if first, _, ok := bytes.Cut(text, []byte("\n")); err == nil && ok {
			line = first
			break
		}
		if time.Now().After(deadline) || pause(ctx, 20*time.Millisecond) != nil {
			ts.Fatalf("%s has no first line", args[0])
		}
	}
	var intro introduction
	ts.Check(json.Unmarshal(line, &intro))
	ts.Setenv("URL", intro.URL)
	ts.Setenv("OPS", intro.OpsURL)
	ts.Setenv("PUB", intro.PublisherKey)
	ts.Setenv("ADMIN", intro.AdminKey)
	for merchant, name := range map[string]string{"acme": "ACME", "globex": "GLOBEX"} {
		ts.Setenv(name, intro.Keys[merchant])
		ts.Setenv(name+"_TEST", intro.TestKeys[merchant])
	}
}
