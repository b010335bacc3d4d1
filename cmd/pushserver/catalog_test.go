package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const catalogText = `types:
  seat.status:
    title: Seat changed
    description: A seat is free or taken.
    state: true
    schema:
      type: object
      required: [status]
      properties:
        status: { enum: [available, sold] }
    examples:
      - data: { status: sold }
`

// writeCatalog writes a catalogue with some text replaced.
func writeCatalog(t *testing.T, replace ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "events.yaml")
	if err := os.WriteFile(file, []byte(strings.NewReplacer(replace...).Replace(catalogText)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCatalogCheckTellsWhatWouldBreak(t *testing.T) {
	tests := []struct {
		name    string
		replace []string
		lines   []string // how each line of the output begins
	}{
		{"nothing changed", nil, []string{"compatible"}},
		{"a member more", []string{"properties:", "properties:\n        row: { type: string }"}, []string{"compatible"}},
		{"another title", []string{"Seat changed", "Seat"}, []string{"compatible"}},
		{"a member that is required", []string{"[status]", "[status, row]", "sold }\n", "sold, row: A }\n"},
			[]string{`seat.status /required was ["status"] and is ["row","status"]`}},
		{"values", []string{"[available, sold]", "[held, sold]"},
			[]string{`seat.status /properties/status/enum was ["available","sold"] and is ["held","sold"]`}},
		{"a type", []string{"seat.status", "seat.state"}, []string{"seat.status was removed"}},
		{"state", []string{"state: true", "state: false"}, []string{"seat.status no longer has state"}},
	}
	for _, tt := range tests {
		code, out, errs := execute(t, "", "catalog", "check", writeCatalog(t), writeCatalog(t, tt.replace...))
		lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		want := exitFailed
		if tt.lines[0] == "compatible" {
			want = exitOK
		}
		if code != want || (errs == "") != (code == exitOK) || len(lines) != len(tt.lines) {
			t.Errorf("%s: ended with %d, printed %q and said %q", tt.name, code, out, errs)
			continue
		}
		for i, line := range tt.lines {
			if !strings.HasPrefix(lines[i], line) {
				t.Errorf("%s: printed %q, want %q", tt.name, lines[i], line)
			}
		}
	}
}

func TestCatalogueThatDoesNotLoadIsSaidWithFileAndLine(t *testing.T) {
	good, bad := writeCatalog(t), writeCatalog(t, "type: object", "typ: object")
	for _, args := range [][]string{
		{"catalog", "check", good, bad},
		{"catalog", "check", bad, good},
		{"serve", "--catalog", bad, "--ops-listen", "127.0.0.1:0"},
	} {
		code, out, errs := execute(t, "", args...)
		if code != exitFailed || out != "" || !strings.Contains(errs, "events.yaml:7: ") || !strings.Contains(errs, "typ is not a JSON Schema keyword") || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v ended with %d, printed %q and said %q", args, code, out, errs)
		}
	}
	code, _, errs := execute(t, "", "serve", "--catalog", good+".missing")
	if code != exitFailed || !strings.Contains(errs, "read the catalogue") {
		t.Errorf("a missing file ended with %d and said %q", code, errs)
	}
}

func TestOwnCatalogueRulesOutOtherTypesUnlessToldOtherwise(t *testing.T) {
	file := writeCatalog(t)
	tests := []struct {
		flags  catalogFlags
		types  int
		reject bool
	}{
		{catalogFlags{}, 5, false},
		{catalogFlags{UnknownTypes: "allow"}, 5, false},
		{catalogFlags{UnknownTypes: "reject"}, 5, true},
		{catalogFlags{Catalog: file}, 1, true},
		{catalogFlags{Catalog: file, UnknownTypes: "reject"}, 1, true},
		{catalogFlags{Catalog: file, UnknownTypes: "allow"}, 1, false},
	}
	for _, tt := range tests {
		c, reject, err := tt.flags.load()
		if err != nil || len(c.Types()) != tt.types || reject != tt.reject {
			t.Errorf("%+v: got %d types, reject %t, %v", tt.flags, len(c.Types()), reject, err)
		}
	}
	if code, _, errs := execute(t, "", "serve", "--unknown-types", "maybe"); code != exitUsage || !strings.Contains(errs, "--unknown-types") {
		t.Errorf("ended with %d and said %q", code, errs)
	}
}

func TestDevHoldsEventsToTheBuiltInCatalogue(t *testing.T) {
	dev := beginDev(t)
	publish := func(typ, data string) (int, string) {
		code, _, errs := execute(t, data, "publish", "--url", dev.URL, "--key", dev.PublisherKey, "--merchant", "acme", "--type", typ, "-")
		return code, errs
	}
	if code, errs := publish("seat.status", `{"status":7}`); code != exitFailed || !strings.Contains(errs, `/data/status must be a string`) {
		t.Errorf("data outside its schema ended with %d: %s", code, errs)
	}
	for _, typ := range []string{"seat.status", "seat.state"} {
		if code, errs := publish(typ, `{"status":"sold"}`); code != exitOK {
			t.Errorf("%s ended with %d: %s", typ, code, errs)
		}
	}
}
