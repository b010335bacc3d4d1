//go:build linux

package faults

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/paylogic/pushserver/auth"
)

// T18. A gateway with --data is killed again and again while it works. Afterwards the
// log has what it accepted, and nothing else.
func testDurableDirectory(t *testing.T, s *fixture) {
	s = s.inDirectory(t)
	tr := s.newTrial(t, setting{limit: 15 * time.Minute, rate: 1000})
	tr.begin()
	gateway := tr.instances[0]
	for range tr.rounds(20, 200) {
		began := time.Now()
		gateway.process().Kill()
		gateway.begin()
		tr.awaitAccepted(40, began)
		_ = pause(tr.ctx, time.Duration(s.dice.IntN(300))*time.Millisecond)
	}
	if v := tr.finish(); v.sent > 0 {
		t.Errorf("%d resets, want none", v.sent)
	}
}

// inDirectory returns a fixture over a new directory instead of a cluster, with new
// keys.
func (s *fixture) inDirectory(t *testing.T) *fixture {
	t.Helper()
	s = s.empty()
	s.data = t.TempDir()
	store, err := auth.OpenBoltStore(filepath.Join(s.data, "keys.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	issue := func(k auth.Key) string {
		secret, _, err := auth.Issue(t.Context(), store, k)
		if err != nil {
			t.Fatal(err)
		}
		return secret.Reveal()
	}
	for _, m := range s.merchants {
		s.keys[m] = issue(auth.Key{Kind: auth.Live, Merchant: m})
	}
	s.publisher = issue(auth.Key{Kind: auth.Pub})
	return s
}

// awaitAccepted returns when n events were accepted after a time.
func (tr *trial) awaitAccepted(n int, after time.Time) {
	tr.t.Helper()
	tr.await(settleLimit, "events to be accepted", func() bool {
		sum := 0
		for _, accepted := range tr.publisher.acceptedSince(after) {
			sum += accepted
		}
		return sum >= n
	})
}
