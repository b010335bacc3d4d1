package streams

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Waits and ages are measured with the monotonic time or between two values of [time.Now].
// A number that is taken from the wall clock ends streams early, or keeps dead ones,
// when that clock is set.
func TestNothingIsMeasuredWithTheWallClock(t *testing.T) {
	wall := regexp.MustCompile(`\.Unix(Milli|Micro|Nano)?\(\)|time\.Unix`)
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if found := wall.Find(text); found != nil && !strings.HasSuffix(file, "_test.go") {
			t.Errorf("%s uses %s", file, found)
		}
	}
}
