package api

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paylogic/pushserver"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams/filter"
)

// A lintReport is what redocly says of one document.
type lintReport struct {
	Totals   struct{ Errors, Warnings int }
	Problems []struct {
		RuleID   string `json:"ruleId"`
		Message  string
		Location []struct{ Pointer string }
	}
}

// lint has documents read by redocly, each by its name, with all rules that it
// recommends.
func lint(t *testing.T, documents map[string]string) map[string]lintReport {
	t.Helper()
	const program = "testdata/redocly/node_modules/@redocly/cli/bin/cli.js"
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("the npm package @redocly/cli is not installed: run make test, which installs it (%v)", err)
	}
	dir := t.TempDir()
	reports := make(map[string]lintReport)
	for name, text := range documents {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "node", program, "lint", "--extends=recommended", "--format=json", file)
		cmd.Env = append(os.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true")
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, _ := cmd.Output() // it fails where it finds something, and then says what
		var report lintReport
		if err := json.Unmarshal(out, &report); err != nil {
			t.Fatalf("%s: redocly said %q and %q", name, out, errs.String())
		}
		reports[name] = report
	}
	return reports
}

func TestLinterFindsNothing(t *testing.T) {
	loose, strict := newShop(t, false), newShop(t, true)
	narrow := strict.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Clause: filter.Clause{Types: []string{"payment.*"}}})
	for name, report := range lint(t, map[string]string{
		"base.yaml":         string(pushserver.OpenAPI),
		"all.yaml":          loose.do(t, "GET", "/openapi.yaml", "", "").body,
		"narrow.json":       strict.do(t, "GET", "/openapi.json", narrow, "").body,
		"older.json":        loose.do(t, "GET", "/openapi-3.1.json", "", "").body,
		"older-narrow.json": strict.do(t, "GET", "/openapi-3.1.json", narrow, "").body,
	}) {
		for _, problem := range report.Problems {
			t.Errorf("%s: %s: %s %v", name, problem.RuleID, problem.Message, problem.Location)
		}
		if report.Totals.Errors+report.Totals.Warnings != len(report.Problems) {
			t.Errorf("%s: %+v", name, report.Totals)
		}
	}
}

// A linter that overlooks everything would be of no use.
func TestLinterLooksIntoTheItemsOfStreams(t *testing.T) {
	broken := strings.Replace(string(pushserver.OpenAPI), "itemSchema: { $ref: '#/components/schemas/ServerSentEvent' }",
		"itemSchema: { $ref: '#/components/schemas/Nothing' }", 1)
	report := lint(t, map[string]string{"broken.yaml": broken})["broken.yaml"]
	if report.Totals.Errors == 0 || report.Totals.Warnings == 0 {
		t.Errorf("got %+v, want an error for the reference and a warning for what nothing refers to", report)
	}
}
