package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/paylogic/pushserver/streams/filter"
)

// stores are all that exist; each call returns an empty one.
var stores = map[string]func(testing.TB) Store{
	"memory": func(testing.TB) Store { return &MemoryStore{} },
	"bolt":   func(t testing.TB) Store { return openBolt(t, newBoltPath(t)) },
	"redis":  func(t testing.TB) Store { return NewRedisStore(emptyCluster(t), RedisOptions{}) },
	"redis, replicated": func(t testing.TB) Store {
		return NewRedisStore(emptyCluster(t), RedisOptions{Replicated: true, WaitTimeout: 5 * time.Second})
	},
}

// Every store keeps these promises.
func TestStore(t *testing.T) {
	promises := map[string]func(*testing.T, Store){
		"an issued key is found by its secret":      issuedIsFound,
		"every drawn key comes back as it went in":  drawnComesBack,
		"a key that is not there is unknown":        absentIsUnknown,
		"a refused description leaves nothing":      refusedLeavesNothing,
		"a hash and an id are taken once":           takenOnce,
		"racing creates of one id keep one":         racingCreates,
		"the first revocation stays":                firstRevocationStays,
		"keys are listed by page, oldest first":     listedByPage,
		"more keys than a page holds are listed":    listedBeyondAPage,
		"merchants exist by a key or by name":       merchantsExist,
		"merchants are listed by page, by bytes":    merchantsByPage,
		"what a caller does to a key stays outside": copiesAreTheCallers,

		"a key is replaced by its next revision only":  replacedByTheNext,
		"racing edits lose nothing":                    racingEdits,
		"an edit that was seen before is no conflict":  editIsRepeatable,
		"a revoked key stays as it is":                 revokedStays,
		"both secrets find a rotated key":              rotatedIsFound,
		"a rotation can be asked for again":            rotationIsRepeatable,
		"a third secret ends the first, or is refused": twoSecretsAtMost,
		"of racing first keys one is made":             racingFirstKeys,
		"the first admin's key comes beside others":    firstAdminBesideOthers,
		"the last use is noted, and the latest stays":  latestUseStays,
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			for promise, holds := range promises {
				t.Run(promise, func(t *testing.T) { holds(t, open(t)) })
			}
		})
	}
}

func issue(t testing.TB, store Store, description Key) (Secret, *Key) {
	t.Helper()
	secret, key, err := Issue(context.Background(), store, description)
	if err != nil {
		t.Fatal(err)
	}
	return secret, key
}

func ids(keys []*Key) (ids []string) {
	for _, key := range keys {
		ids = append(ids, key.ID)
	}
	return ids
}

func issuedIsFound(t *testing.T, store Store) {
	secret, key := issue(t, store, Key{
		ID: "key_mine", Created: time.Unix(1, 0), Revoked: time.Unix(1, 0), // not looked at
		Kind: Live, Merchant: "acme", Clause: filter.Clause{Types: []string{"payment.*"}}, Expires: time.Now().Add(time.Hour),
	})
	if key.ID == "key_mine" || !key.Revoked.IsZero() || time.Since(key.Created) > time.Minute {
		t.Errorf("issued %+v, with what the description may not say", key)
	}
	if secret.Kind() != Live {
		t.Errorf("a live key's secret says %q", secret.Kind())
	}
	got, err := store.Find(t.Context(), secret.Hash())
	if err != nil || !sameKey(got, key) {
		t.Errorf("found %+v (%v), want %+v", got, err, key)
	}
}

func drawnComesBack(t *testing.T, store Store) {
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		want := anyKey(t, fmt.Sprint("key_", n))
		if err := store.Create(context.Background(), want); err != nil {
			t.Fatal(err)
		}
		for _, hash := range []Hash{want.secret, {}} {
			got, err := store.FindByID(context.Background(), want.ID)
			if hash != (Hash{}) {
				got, err = store.Find(context.Background(), hash)
			}
			if err != nil || !sameKey(got, want) {
				t.Fatalf("got %+v (%v), want %+v", got, err, want)
			}
		}
	})
}

func absentIsUnknown(t *testing.T, store Store) {
	issue(t, store, Key{Kind: Adm})
	if key, err := store.Find(t.Context(), Mint(Adm).Hash()); !errors.Is(err, ErrUnknown) {
		t.Errorf("Find: got %+v (%v), want ErrUnknown", key, err)
	}
	if key, err := store.FindByID(t.Context(), "key_none"); !errors.Is(err, ErrUnknown) {
		t.Errorf("FindByID: got %+v (%v), want ErrUnknown", key, err)
	}
	if err := store.Replace(t.Context(), &Key{ID: "key_none", Kind: Adm, secret: Mint(Adm).Hash(), Revision: 1}); !errors.Is(err, ErrUnknown) {
		t.Errorf("Replace: got %v, want ErrUnknown", err)
	}
	if err := store.MarkUsed(t.Context(), map[string]time.Time{"key_none": time.Now()}); err != nil {
		t.Errorf("MarkUsed: got %v, want nothing", err)
	}
	if key, err := store.Revoke(t.Context(), "key_none"); !errors.Is(err, ErrUnknown) {
		t.Errorf("Revoke: got %+v (%v), want ErrUnknown", key, err)
	}
	if keys, err := store.List(t.Context(), "key_none", 1); !errors.Is(err, ErrUnknown) {
		t.Errorf("List: got %v (%v), want ErrUnknown", ids(keys), err)
	}
}

func refusedLeavesNothing(t *testing.T, store Store) {
	var refused *FieldError
	secret, key, err := Issue(t.Context(), store, Key{Kind: Live, Merchant: "_control"})
	if !errors.As(err, &refused) || refused.Field != "merchant" || key != nil || secret != (Secret{}) {
		t.Errorf("Issue: got %v, %+v (%v), want a refusal of merchant", secret, key, err)
	}
	refused = nil
	if err := store.AddMerchant(t.Context(), "acme.test"); !errors.As(err, &refused) || refused.Field != "merchant" {
		t.Errorf("AddMerchant: got %v, want a refusal of merchant", err)
	}
	keys, err := store.List(t.Context(), "", 0)
	if err != nil || len(keys) > 0 {
		t.Errorf("keys are %v (%v), want none", ids(keys), err)
	}
	names, err := store.Merchants(t.Context(), "", 0)
	if err != nil || len(names) > 0 {
		t.Errorf("merchants are %v (%v), want none", names, err)
	}
}

func takenOnce(t *testing.T, store Store) {
	secret, key := issue(t, store, Key{Kind: Live, Merchant: "acme"})
	sameHash := &Key{ID: "key_other", Kind: Live, Merchant: "globex", Created: timestamp(), secret: secret.Hash()}
	if err := store.Create(t.Context(), sameHash); err == nil {
		t.Error("a hash was given to a second key")
	}
	otherHash := Mint(Live).Hash()
	sameID := &Key{ID: key.ID, Kind: Live, Merchant: "globex", Created: timestamp(), secret: otherHash}
	if err := store.Create(t.Context(), sameID); err == nil {
		t.Error("an id was given to a second key")
	}

	if got, err := store.Find(t.Context(), secret.Hash()); err != nil || !sameKey(got, key) {
		t.Errorf("the key is now %+v (%v), want %+v", got, err, key)
	}
	if _, err := store.Find(t.Context(), otherHash); !errors.Is(err, ErrUnknown) {
		t.Errorf("half a key stayed behind: %v", err)
	}
	if keys, err := store.List(t.Context(), "", 0); err != nil || !slices.Equal(ids(keys), []string{key.ID}) {
		t.Errorf("listed %v (%v), want %v", ids(keys), err, key.ID)
	}
	if exists, err := store.MerchantExists(t.Context(), "globex"); err != nil || exists {
		t.Errorf("the merchant of a refused key exists: %t (%v)", exists, err)
	}
}

func racingCreates(t *testing.T, store Store) {
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			key := &Key{ID: "key_1", Kind: Adm, Created: timestamp(), secret: Mint(Adm).Hash()}
			errs[i] = store.Create(t.Context(), key)
		})
	}
	wg.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		}
	}
	if keys, err := store.List(t.Context(), "", 0); made != 1 || err != nil || len(keys) != 1 {
		t.Errorf("%d creates of one id succeeded and %v are listed (%v), want one", made, ids(keys), err)
	}
}

func firstRevocationStays(t *testing.T, store Store) {
	secret, key := issue(t, store, Key{Kind: Pub})
	_, other := issue(t, store, Key{Kind: Pub})
	first, err := store.Revoke(t.Context(), key.ID)
	if err != nil || first.Revoked.Before(key.Created) || time.Since(first.Revoked) > time.Minute {
		t.Fatalf("revoked into %+v (%v), want it revoked now", first, err)
	}
	<-time.After(2 * time.Millisecond) // so that a second time, if it were written, would differ
	again, err := store.Revoke(t.Context(), key.ID)
	if err != nil || !sameKey(again, first) {
		t.Errorf("revoked again into %+v (%v), want %+v", again, err, first)
	}
	if got, err := store.Find(t.Context(), secret.Hash()); err != nil || !sameKey(got, first) {
		t.Errorf("found %+v (%v), want %+v", got, err, first)
	}
	keys, err := store.List(t.Context(), "", 0)
	if err != nil || len(keys) != 2 {
		t.Fatalf("listed %v (%v), want both keys", ids(keys), err)
	}
	for _, listed := range keys {
		if listed.Revoked.IsZero() != (listed.ID == other.ID) {
			t.Errorf("%s is listed with revocation %v", listed.ID, listed.Revoked)
		}
	}
}

func copiesAreTheCallers(t *testing.T, store Store) {
	secret, key := issue(t, store, Key{Kind: Pub, Clause: filter.Clause{Types: []string{"a"}}, Merchants: []string{"acme"}})
	want := key.clone()
	spoil := func(k *Key) { k.Kind, k.Types[0], k.Merchants[0] = Adm, "**", "globex" }
	spoil(key)
	found, err := store.Find(t.Context(), secret.Hash())
	if err != nil || !sameKey(found, want) {
		t.Fatalf("found %+v (%v), want %+v", found, err, want)
	}
	spoil(found)
	listed, err := store.List(t.Context(), "", 0)
	if err != nil || len(listed) != 1 || !sameKey(listed[0], want) {
		t.Fatalf("listed %v (%v), want the key as it was", listed, err)
	}
	spoil(listed[0])
	if got, err := store.Find(t.Context(), secret.Hash()); err != nil || !sameKey(got, want) {
		t.Errorf("found %+v (%v), want %+v", got, err, want)
	}
}
