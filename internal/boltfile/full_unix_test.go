//go:build unix

package boltfile

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// limitFiles keeps files of this process from growing beyond size bytes until
// lift is called.
func limitFiles(t *testing.T, size int64) (lift func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	limited := before
	limited.Cur = uint64(size)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limited); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Error(err)
		}
	}
}

func TestFileThatCannotGrowRefusesAndRecovers(t *testing.T) {
	path := newPath(t)
	f := mustOpen(t, path)
	mustPut(t, f, "a", "1")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("x", 1<<20)
	lift := limitFiles(t, info.Size())
	for range 3 {
		if err := put(f, "large", large); !errors.Is(err, ErrUnavailable) {
			t.Errorf("update: %v, want ErrUnavailable", err)
		}
		wantValue(t, f, "large", "")
		wantValue(t, f, "a", "1")
	}
	for i := range 20 { // small updates still fit
		if err := put(f, "b", fmt.Sprint(i)); err != nil {
			t.Errorf("a small update: %v", err)
		}
	}
	lift()
	mustPut(t, f, "large", large)
	wantValue(t, f, "large", large)
	wantValue(t, f, "b", "19")
	f.Close()
	wantValue(t, mustOpen(t, path), "large", large)
}
