package redistest

import (
	"context"
	"sync"
	"testing"
)

var shared struct {
	start   sync.Once
	cluster *Cluster
	err     error
}

// Main runs the tests of a package, ends the cluster that they shared, and
// returns the exit code. Call it from TestMain in a package that uses [Shared]:
//
//	func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }
func Main(m *testing.M) int {
	code := m.Run()
	if shared.cluster != nil {
		shared.cluster.Close()
	}
	return code
}

// Shared returns the one cluster that all tests of the package share. The first
// caller starts it, which takes about three seconds; [Main] closes it. A test that
// breaks the cluster repairs it before it returns, and does not run in parallel with
// others.
func Shared(tb testing.TB) *Cluster {
	tb.Helper()
	shared.start.Do(func() {
		shared.cluster, shared.err = Open(context.Background(), Options{})
	})
	if shared.err != nil {
		tb.Fatalf("redistest: %v", shared.err)
	}
	return shared.cluster
}
