//go:build linux

package faults

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

var documentedRow = regexp.MustCompile(`(?m)^//\t(T[0-9]+ .*)$`)

func TestTableOfFaultsIsThatOfTheTests(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var documented, tested []string
	for _, row := range documentedRow.FindAllSubmatch(doc, -1) {
		documented = append(documented, string(row[1]))
	}
	for _, row := range faultRows {
		tested = append(tested, row.name)
	}
	if !slices.Equal(documented, tested) {
		t.Errorf("doc.go describes %q, and the tests are %q", documented, tested)
	}
}
