package auth

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/paylogic/pushserver/internal/boltfile"
	"github.com/paylogic/pushserver/streams/filter"
)

func newBoltPath(t testing.TB) string { return filepath.Join(t.TempDir(), "keys.db") }

// openBolt opens a store that the test closes.
func openBolt(t testing.TB, path string) *BoltStore {
	t.Helper()
	s, err := OpenBoltStore(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestBoltStoreOpenedAgainHoldsWhatItHeld(t *testing.T) {
	path := newBoltPath(t)
	s := openBolt(t, path)
	secret, key := issue(t, s, Key{Kind: Live, Merchant: "acme", Clause: filter.Clause{Types: []string{"payment.*"}}, Expires: time.Now().Add(time.Hour)})
	gone, revoked := issue(t, s, Key{Kind: Pub})
	revoked, err := s.Revoke(t.Context(), revoked.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.MarkUsed(t.Context(), map[string]time.Time{key.ID: time.Now()}); err != nil {
		t.Fatal(err)
	}
	next, key, err := Rotate(t.Context(), s, key.ID, Rotation{Overlap: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddMerchant(t.Context(), "globex"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = openBolt(t, path)
	for _, want := range []struct {
		secret Secret
		key    *Key
	}{{secret, key}, {next, key}, {gone, revoked}} {
		if got, err := s.Find(t.Context(), want.secret.Hash()); err != nil || !sameKey(got, want.key) {
			t.Errorf("found %+v (%v), want %+v", got, err, want.key)
		}
	}
	if names, err := s.Merchants(t.Context(), "", 0); err != nil || strings.Join(names, " ") != "acme globex" {
		t.Errorf("merchants are %q (%v), want acme and globex", names, err)
	}
}

func TestBoltStoreHoldsNoSecret(t *testing.T) {
	path := newBoltPath(t)
	s := openBolt(t, path)
	var secrets []Secret
	for _, kind := range allKinds {
		description := Key{Kind: kind, Name: "a name"}
		if kind.Reads() {
			description.Merchant = "acme"
		}
		secret, _ := issue(t, s, description)
		secrets = append(secrets, secret)
	}
	s.Close()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		hash := secret.Hash()
		if !bytes.Contains(file, hash[:]) {
			t.Error("a hash is missing: this is not the file")
		}
		_, random, _ := strings.Cut(strings.TrimPrefix(secret.Reveal(), secretPrefix), "_")
		for _, part := range []string{random[:12], random[12:24], random[18:]} {
			if bytes.Contains(file, []byte(part)) {
				t.Errorf("a part of a %s secret is in the file", secret.Kind())
			}
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v (%v), want it for its owner alone", info.Mode(), err)
	}
}

func TestBoltStoreThatIsNotForUsIsRefused(t *testing.T) {
	held := newBoltPath(t)
	openBolt(t, held)
	events := newBoltPath(t)
	f, err := boltfile.Open(events, "events 1")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	for path, says := range map[string]string{
		held:   "another process holds it",
		events: "it holds events 1, and this program reads keys 2",
	} {
		if s, err := OpenBoltStore(path); err == nil {
			s.Close()
			t.Errorf("%s was opened", path)
		} else if !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %q, want one with %q and the path", err, says)
		}
	}
}

func TestBoltStoreThatIsClosedIsUnavailable(t *testing.T) {
	s := openBolt(t, newBoltPath(t))
	secret, key := issue(t, s, Key{Kind: Live, Merchant: "acme"})
	s.Close()
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"Create":           func() error { return s.Create(ctx, key) },
		"CreateFirstAdmin": func() error { _, err := s.CreateFirstAdmin(ctx, key); return err },
		"FindByID":         func() error { _, err := s.FindByID(ctx, key.ID); return err },
		"Replace":          func() error { return s.Replace(ctx, key) },
		"MarkUsed":         func() error { return s.MarkUsed(ctx, map[string]time.Time{key.ID: time.Now()}) },
		"Find":             func() error { _, err := s.Find(ctx, secret.Hash()); return err },
		"List":             func() error { _, err := s.List(ctx, "", 1); return err },
		"List after":       func() error { _, err := s.List(ctx, key.ID, 1); return err },
		"Revoke":           func() error { _, err := s.Revoke(ctx, key.ID); return err },
		"MerchantExists":   func() error { _, err := s.MerchantExists(ctx, "acme"); return err },
		"AddMerchant":      func() error { return s.AddMerchant(ctx, "globex") },
		"Merchants":        func() error { _, err := s.Merchants(ctx, "", 1); return err },
	} {
		if err := call(); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknown) {
			t.Errorf("%s: got %v, want ErrUnavailable", name, err)
		}
	}
}

// A file that hangs, as on a slow disk, does not delay a caller that has
// a deadline.
func TestBoltStoreThatHangsIsNotWaitedFor(t *testing.T) {
	s := openBolt(t, newBoltPath(t))
	held, let := make(chan struct{}), make(chan struct{})
	go s.file.Update(func(*bbolt.Tx) error { close(held); <-let; return nil })
	<-held
	defer close(let)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := s.AddMerchant(ctx, "acme"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

func TestBoltStoreDamagedRecordIsAFaultOfItsOwn(t *testing.T) {
	s := openBolt(t, newBoltPath(t))
	sound, _ := issue(t, s, Key{Kind: Pub})
	for bucket, value := range map[string]string{"records": "x", "revoked": "soon", "used": "late"} {
		secret, damaged := issue(t, s, Key{Kind: Pub})
		hash := secret.Hash()
		err := s.file.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucket)).Put([]byte(damaged.ID), []byte(value)) })
		if err != nil {
			t.Fatal(err)
		}
		if key, err := s.Find(t.Context(), hash); err == nil || errors.Is(err, ErrUnknown) || errors.Is(err, ErrUnavailable) {
			t.Errorf("with %q in %s: got %+v (%v), want a fault of the record", value, bucket, key, err)
		}
	}
	if _, err := s.Find(t.Context(), sound.Hash()); err != nil {
		t.Errorf("another key: %v", err)
	}
}
