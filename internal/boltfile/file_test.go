package boltfile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

const testLayout = "things 1"

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "things.db") }

func mustOpen(t testing.TB, path string) *File {
	t.Helper()
	f, err := Open(path, testLayout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func put(f *File, key, value string) error {
	return f.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte("things"))
		if err != nil {
			return err
		}
		return b.Put([]byte(key), []byte(value))
	})
}

func mustPut(t testing.TB, f *File, key, value string) {
	t.Helper()
	if err := put(f, key, value); err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
}

// get returns "" if there is no such key.
func get(f *File, key string) (value string, err error) {
	err = f.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket([]byte("things")); b != nil {
			value = string(b.Get([]byte(key)))
		}
		return nil
	})
	return value, err
}

func wantValue(t testing.TB, f *File, key, want string) {
	t.Helper()
	if got, err := get(f, key); err != nil || got != want {
		t.Errorf("%s is %.40q (%v), want %.40q", key, got, err, want)
	}
}

func TestWhatWasPutIsThereAfterOpeningAgain(t *testing.T) {
	path := newPath(t)
	f := mustOpen(t, path)
	mustPut(t, f, "a", "1")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	wantValue(t, mustOpen(t, path), "a", "1")
}

func TestDirectoryIsMadeOnceAndForItsOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	for range 2 {
		if err := MakeDirectory(path); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("its mode is %v (%v), want it for its owner alone", info.Mode(), err)
	}
	file := newPath(t)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(path, "not", "there")} {
		if err := MakeDirectory(path); err == nil {
			t.Errorf("%s was made", path)
		}
	}
}

func TestCallersErrorComesBackAndChangesNothing(t *testing.T) {
	f := mustOpen(t, newPath(t))
	mustPut(t, f, "a", "1")
	mine := errors.New("mine")
	err := f.Update(func(tx *bbolt.Tx) error {
		if err := tx.Bucket([]byte("things")).Put([]byte("a"), []byte("2")); err != nil {
			return err
		}
		return mine
	})
	if err != mine {
		t.Errorf("update: %v, want the caller's own error", err)
	}
	if err := f.View(func(*bbolt.Tx) error { return mine }); err != mine {
		t.Errorf("view: %v, want the caller's own error", err)
	}
	wantValue(t, f, "a", "1")
}

func TestOpenSaysWhatToDo(t *testing.T) {
	tests := map[string]struct {
		prepare func(t *testing.T, path string)
		says    []string
	}{
		"a file that is held": {
			func(t *testing.T, path string) { mustOpen(t, path) },
			[]string{"another process", "end that one", "another directory"},
		},
		"another layout": {
			func(t *testing.T, path string) {
				f, err := Open(path, "things 2")
				if err != nil {
					t.Fatal(err)
				}
				f.Close()
			},
			[]string{"things 2", testLayout, "start the version that wrote it"},
		},
		"a database of another program": {
			func(t *testing.T, path string) {
				db, err := bbolt.Open(path, 0o600, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				if err := db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("x")); return err }); err != nil {
					t.Fatal(err)
				}
			},
			[]string{foreignLayout, testLayout},
		},
		"no database": {
			func(t *testing.T, path string) {
				if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
					t.Fatal(err)
				}
			},
			[]string{"damaged, or no database of ours", "bring back a copy"},
		},
		"a file that was cut": {
			func(t *testing.T, path string) {
				f := mustOpen(t, path)
				mustPut(t, f, "a", strings.Repeat("x", 1<<20))
				f.Close()
				if err := os.Truncate(path, 64<<10); err != nil {
					t.Fatal(err)
				}
			},
			[]string{"it was cut to 65536 of", "bring back a copy"},
		},
		"a directory that is not there": {
			func(t *testing.T, path string) { os.Remove(filepath.Dir(path)) },
			[]string{"no such file or directory"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			tt.prepare(t, path)
			f, err := Open(path, testLayout)
			if err == nil {
				f.Close()
				t.Fatal("it was opened")
			}
			for _, says := range append(tt.says, path) {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("error %q, want it to say %q", err, says)
				}
			}
		})
	}
}

func TestClosedFileIsUnavailable(t *testing.T) {
	f := mustOpen(t, newPath(t))
	f.Close()
	if err := put(f, "a", "1"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("update: %v, want ErrUnavailable", err)
	}
	if _, err := get(f, "a"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("view: %v, want ErrUnavailable", err)
	}
	if err := f.Check(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("check: %v, want ErrUnavailable", err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

func TestCheckMissesARemovedFile(t *testing.T) {
	path := newPath(t)
	f := mustOpen(t, path)
	if err := f.Check(); err != nil {
		t.Errorf("a file in its place: %v", err)
	}
	os.Remove(path)
	if err := f.Check(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a removed file: %v, want ErrUnavailable", err)
	}
	mustPut(t, mustOpen(t, path), "another", "file")
	if err := f.Check(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a replaced file: %v, want ErrUnavailable", err)
	}
}

// After a failed last sync, bbolt shows a transaction that the disk may not
// have.
func TestFailedSyncIsMadeGoodBeforeTheNextUpdate(t *testing.T) {
	path := newPath(t)
	f := mustOpen(t, path)
	mustPut(t, f, "a", "1")
	before := f.db.Load()
	newest, err := before.newest()
	if err != nil {
		t.Fatal(err)
	}
	f.suspect, f.failed = true, newest
	mustPut(t, f, "b", "2")
	if f.db.Load() == before {
		t.Error("the database was not opened again")
	}
	wantValue(t, f, "a", "1")
	wantValue(t, f, "b", "2")
}

func TestFileThatCannotBeOpenedAgainIsUnavailableUntilItCan(t *testing.T) {
	path := newPath(t)
	f := mustOpen(t, path)
	mustPut(t, f, "a", "1")
	f.suspect = true // of an update that did not begin
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil { // so that no new file is created
		t.Fatal(err)
	}
	for range 2 {
		if err := put(f, "b", "2"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("update: %v, want ErrUnavailable", err)
		}
		if _, err := get(f, "a"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("view: %v, want ErrUnavailable", err)
		}
	}
	os.Remove(path)
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	mustPut(t, f, "b", "2")
	wantValue(t, f, "a", "1")
}

func TestDamagedPageIsAnErrorNotTheEnd(t *testing.T) {
	path := newPath(t)
	f := mustOpen(t, path)
	err := f.Update(func(tx *bbolt.Tx) error {
		for _, name := range []string{"good", "bad"} {
			b, err := tx.CreateBucket([]byte(name))
			if err != nil {
				return err
			}
			for i := range 500 {
				if err := b.Put(fmt.Appendf(nil, "%s %04d", name, i), bytes.Repeat([]byte(name[:1]), 100)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	spoil(t, path, "bad 0000")

	read := func(name string) (n int, err error) {
		err = f.View(func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte(name)).ForEach(func(_, _ []byte) error { n++; return nil })
		})
		return n, err
	}
	if _, err := read("bad"); !errors.Is(err, ErrDamaged) {
		t.Errorf("view of the damaged bucket: %v, want ErrDamaged", err)
	}
	err = f.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("bad")).Put([]byte("bad 0000"), nil) })
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("update of the damaged bucket: %v, want ErrDamaged", err)
	}
	if n, err := read("good"); n != 500 || err != nil {
		t.Errorf("the other bucket has %d entries (%v), want 500", n, err)
	}
	mustPut(t, f, "a", "1")
	wantValue(t, f, "a", "1")
}

// spoil overwrites the pages that hold text, as a failing disk may.
func spoil(t *testing.T, path, text string) {
	t.Helper()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	size := os.Getpagesize()
	found := false
	for at := 0; at+size <= len(whole); at += size {
		if bytes.Contains(whole[at:at+size], []byte(text)) {
			found = true
			if _, err := file.WriteAt(bytes.Repeat([]byte{0xA5}, size), int64(at)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !found {
		t.Fatalf("no page holds %q", text)
	}
}

// A page that cannot be read causes a memory fault, like a page beyond the end
// of a shortened file.
func TestUnreadablePageIsUnavailable(t *testing.T) {
	path := newPath(t)
	f := mustOpen(t, path)
	mustPut(t, f, "a", strings.Repeat("x", 1<<20))
	if err := os.Truncate(path, 32<<10); err != nil {
		t.Fatal(err)
	}
	if _, err := get(f, "a"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("view: %v, want ErrUnavailable", err)
	}
}
