package pushserver_test

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	// An attackRow is one row of the tables in SECURITY.md: its number and its last
	// cell, which names the tests or says why there is none.
	attackRow = regexp.MustCompile(`(?m)^\| (\d+) \|.*\| ([^|]+) \|$`)
	// An attackTest is the name of a test of one or two rows.
	attackTest = regexp.MustCompile(`TestAttack(\d+)(?:And(\d+))?[A-Za-z0-9]*`)
)

func TestEveryAttackHasARowAndATest(t *testing.T) {
	text, err := os.ReadFile("SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := attackTests(t)
	rows := make(map[int][]string) // names of tests by number
	for _, row := range attackRow.FindAllStringSubmatch(string(text), -1) {
		number, err := strconv.Atoi(row[1])
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := rows[number]; twice {
			t.Errorf("SECURITY.md has row %d twice", number)
		}
		rows[number] = attackTest.FindAllString(row[2], -1)
		for _, name := range rows[number] {
			if _, found := tests[name]; !found {
				t.Errorf("row %d of SECURITY.md names %s, which does not exist", number, name)
			}
		}
		if len(rows[number]) == 0 && len(strings.Fields(row[2])) < 3 {
			t.Errorf("row %d of SECURITY.md has no test and gives no reason", number)
		}
	}
	for name, numbers := range tests {
		for _, number := range numbers {
			if !slices.Contains(rows[number], name) {
				t.Errorf("row %d of SECURITY.md does not name %s", number, name)
			}
		}
	}
	if len(rows) == 0 || len(tests) == 0 {
		t.Errorf("found %d rows and %d tests", len(rows), len(tests))
	}
}

// attackTests returns the numbers in the name of each test of an attack.
func attackTests(t *testing.T) map[string][]int {
	t.Helper()
	tests := make(map[string][]int)
	err := fs.WalkDir(os.DirFS("."), ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "testdata" || file == ".git") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(file, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(file)
		for line := range strings.Lines(string(source)) {
			name, declares := strings.CutPrefix(line, "func ")
			match := attackTest.FindStringSubmatch(name)
			if !declares || match == nil || !strings.HasPrefix(name, match[0]+"(") {
				continue
			}
			for _, digits := range match[1:] {
				if number, err := strconv.Atoi(digits); err == nil {
					tests[match[0]] = append(tests[match[0]], number)
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}
