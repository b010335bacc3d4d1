package auth

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/paylogic/pushserver/streams/filter"
)

func rotatedIsFound(t *testing.T, store Store) {
	old, key := issue(t, store, Key{Kind: Live, Merchant: "acme", Clause: filter.Clause{Types: []string{"a"}}})
	secret, rotated, err := Rotate(t.Context(), store, key.ID, Rotation{Revision: 1, Overlap: time.Hour})
	if err != nil || secret.Kind() != Live || secret == old {
		t.Fatalf("rotated into %v (%v)", secret, err)
	}
	if rotated.ID != key.ID || rotated.Revision != 2 || !slices.Equal(rotated.Types, key.Types) {
		t.Errorf("rotated into %+v, want %s with all that it may do", rotated, key.ID)
	}
	now := time.Now()
	for _, s := range []Secret{old, secret} {
		got, err := store.Find(t.Context(), s.Hash())
		if err != nil || !sameKey(got, rotated) {
			t.Fatalf("found %+v (%v), want %+v", got, err, rotated)
		}
		if err := got.UsableBy(s.Hash(), now); err != nil {
			t.Errorf("within the overlap: %v", err)
		}
		later := now.Add(time.Hour + time.Second)
		want := map[Secret]error{old: ErrExpired}[s]
		if err := got.UsableBy(s.Hash(), later); !errors.Is(err, want) {
			t.Errorf("after the overlap: got %v, want %v", err, want)
		}
	}
	if ends := rotated.Ends(old.Hash()); !ends.Equal(rotated.FormerUntil) || ends.Sub(now).Round(time.Minute) != time.Hour {
		t.Errorf("the old secret ends at %v, an hour from %v is wanted", ends, now)
	}
	if ends := rotated.Ends(secret.Hash()); !ends.IsZero() {
		t.Errorf("the new secret ends at %v, want never", ends)
	}
}

func rotationIsRepeatable(t *testing.T, store Store) {
	_, key := issue(t, store, Key{Kind: Pub})
	secret, rotated, err := Rotate(t.Context(), store, key.ID, Rotation{Revision: 1, Overlap: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for _, seen := range []int64{1, 2, 0} {
		again, same, err := Rotate(t.Context(), store, key.ID, Rotation{Revision: seen, Overlap: time.Hour, Secret: secret})
		if err != nil || again != secret || !sameKey(same, rotated) {
			t.Errorf("again, of revision %d: got %v and %+v (%v), want what the first try made", seen, again, same, err)
		}
	}
	if _, _, err := Rotate(t.Context(), store, key.ID, Rotation{Revision: 1}); !errors.Is(err, ErrConflict) {
		t.Errorf("another rotation of revision 1: got %v, want ErrConflict", err)
	}
	if _, _, err := Rotate(t.Context(), store, key.ID, Rotation{Secret: Mint(Adm)}); err == nil {
		t.Error("a secret of another kind of key passes")
	}
	for _, overlap := range []time.Duration{-1, MaxOverlap + 1} {
		var refused *FieldError
		if _, _, err := Rotate(t.Context(), store, key.ID, Rotation{Overlap: overlap}); !errors.As(err, &refused) || refused.Field != "overlap" {
			t.Errorf("an overlap of %v: got %v, want a refusal", overlap, err)
		}
	}
}

func twoSecretsAtMost(t *testing.T, store Store) {
	first, key := issue(t, store, Key{Kind: Pub})
	rotate := func(overlap time.Duration, want error) Secret {
		t.Helper()
		secret, _, err := Rotate(t.Context(), store, key.ID, Rotation{Overlap: overlap})
		if !errors.Is(err, want) {
			t.Fatalf("rotated with an overlap of %v: got %v, want %v", overlap, err, want)
		}
		return secret
	}
	works := func(secret Secret) bool {
		t.Helper()
		got, err := store.Find(t.Context(), secret.Hash())
		if err != nil && !errors.Is(err, ErrUnknown) {
			t.Fatal(err)
		}
		return err == nil && got.UsableBy(secret.Hash(), time.Now()) == nil
	}
	second := rotate(time.Hour, nil)
	rotate(time.Hour, ErrOverlap)
	if !works(first) || !works(second) {
		t.Error("a refused rotation has ended a secret")
	}
	third := rotate(0, nil)
	if works(first) || works(second) || !works(third) {
		t.Errorf("without an overlap, the secrets work: %t, %t, %t; want the last alone", works(first), works(second), works(third))
	}
	fourth := rotate(time.Millisecond, nil)
	<-time.After(5 * time.Millisecond) // the overlap is over
	fifth := rotate(time.Hour, nil)
	if works(third) || !works(fourth) || !works(fifth) {
		t.Errorf("after an overlap, the secrets work: %t, %t, %t; want the last two", works(third), works(fourth), works(fifth))
	}
	if _, err := store.Find(t.Context(), third.Hash()); !errors.Is(err, ErrUnknown) {
		t.Errorf("a third secret is still kept: %v", err)
	}
}
