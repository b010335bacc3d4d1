package auth

import (
	"errors"
	"slices"
	"sync"
	"testing"
)

func racingFirstKeys(t *testing.T, store Store) {
	made := make([]Secret, 8)
	var wg sync.WaitGroup
	for i := range made {
		wg.Go(func() {
			secret, key, err := EnsureAdmin(t.Context(), store, Secret{})
			if err != nil || (key == nil) != (secret == Secret{}) {
				t.Errorf("got %v and %+v (%v)", secret, key, err)
			}
			made[i] = secret
		})
	}
	wg.Wait()
	made = slices.DeleteFunc(made, func(s Secret) bool { return s == Secret{} })
	keys, err := store.List(t.Context(), "", 0)
	if len(made) != 1 || err != nil || len(keys) != 1 || keys[0].Kind != Adm {
		t.Fatalf("%d made a key and %v are listed (%v), want one", len(made), ids(keys), err)
	}
	if got, err := store.Find(t.Context(), made[0].Hash()); err != nil || !sameKey(got, keys[0]) {
		t.Errorf("found %+v (%v), want %+v", got, err, keys[0])
	}
	if first, err := store.CreateFirstAdmin(t.Context(), keys[0]); err != nil || !first {
		t.Errorf("asked for again: first is %t (%v), want that it still is", first, err)
	}
}

// Other keys do not let an operator in: a store can begin with the key of the demo.
func firstAdminBesideOthers(t *testing.T, store Store) {
	for range 3 {
		issue(t, store, Key{Kind: Live, Merchant: "demo"})
	}
	secret, key, err := EnsureAdmin(t.Context(), store, Secret{})
	if err != nil || key == nil || secret.Kind() != Adm {
		t.Fatalf("got %v and %+v (%v), want an admin's key", secret, key, err)
	}
	if first, err := store.CreateFirstAdmin(t.Context(), key); err != nil || !first {
		t.Errorf("asked for again: first is %t (%v), want that it still is", first, err)
	}
	if _, again, err := EnsureAdmin(t.Context(), store, Secret{}); again != nil || err != nil {
		t.Errorf("a second admin's key is made: %+v (%v)", again, err)
	}
	if _, err := store.Revoke(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	if _, again, err := EnsureAdmin(t.Context(), store, Secret{}); again != nil || err != nil {
		t.Errorf("a revoked admin's key is replaced: %+v (%v)", again, err)
	}
}

func TestFirstKeyOfAGivenSecret(t *testing.T) {
	store := &MemoryStore{}
	given := Mint(Adm)
	secret, key, err := EnsureAdmin(t.Context(), store, given)
	if err != nil || secret != given || key.Kind != Adm {
		t.Fatalf("got %v and %+v (%v), want a key of the secret given", secret, key, err)
	}
	ring := NewKeyring(store, KeyringOptions{})
	if _, _, err := ring.Authenticate(t.Context(), given.Reveal()); err != nil {
		t.Errorf("it is not taken: %v", err)
	}
	if secret, key, err := EnsureAdmin(t.Context(), store, given); secret != (Secret{}) || key != nil || err != nil {
		t.Errorf("again: got %v and %+v (%v), want nothing", secret, key, err)
	}
	if _, _, err := EnsureAdmin(t.Context(), store, Mint(Adm)); !errors.Is(err, ErrUnknown) {
		t.Errorf("another secret: got %v, want ErrUnknown", err)
	}
	if _, err := store.Revoke(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := EnsureAdmin(t.Context(), store, given); !errors.Is(err, ErrRevoked) {
		t.Errorf("a secret that was revoked: got %v, want ErrRevoked", err)
	}
	if _, _, err := EnsureAdmin(t.Context(), &MemoryStore{}, Mint(Pub)); err == nil {
		t.Error("a publisher's secret becomes an admin's key")
	}
}
