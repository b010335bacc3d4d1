package auth

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/paylogic/pushserver/internal/base62"
	"github.com/paylogic/pushserver/ratelimit/policy"
)

func replacedByTheNext(t *testing.T, store Store) {
	_, other := issue(t, store, Key{Kind: Adm})
	secret, key := issue(t, store, Key{Kind: Live, Merchant: "acme"})
	if key.Revision != 1 {
		t.Errorf("a new key has revision %d, want 1", key.Revision)
	}
	revision := func(n int64, name string) *Key {
		next := key.clone()
		next.Revision, next.Name = n, name
		return next
	}
	for _, step := range []struct {
		name string
		next *Key
		want error
	}{
		{"itself", key, nil},
		{"another of the same revision", revision(1, "other"), ErrConflict},
		{"the one after the next", revision(3, "third"), ErrConflict},
		{"the next", revision(2, "second"), nil},
		{"the next, again", revision(2, "second"), nil},
		{"another next", revision(2, "other"), ErrConflict},
		{"the one before", key, ErrConflict},
	} {
		if err := store.Replace(t.Context(), step.next); !errors.Is(err, step.want) {
			t.Errorf("replaced by %s: got %v, want %v", step.name, err, step.want)
		}
	}
	stolen := revision(3, "third")
	stolen.secret = other.secret
	if err := store.Replace(t.Context(), stolen); err == nil || errors.Is(err, ErrConflict) {
		t.Errorf("another key's secret: got %v, want an error of its own", err)
	}
	want := revision(2, "second")
	if got, err := store.Find(t.Context(), secret.Hash()); err != nil || !sameKey(got, want) {
		t.Errorf("found %+v (%v), want %+v", got, err, want)
	}
	if keys, err := store.List(t.Context(), "", 0); err != nil || len(keys) != 2 || !sameKey(keys[1], want) && !sameKey(keys[0], want) {
		t.Errorf("listed %v (%v), want two keys, one of them edited", ids(keys), err)
	}
}

func racingEdits(t *testing.T, store Store) {
	_, key := issue(t, store, Key{Kind: Live, Merchant: "acme"})
	fields := []func(*Key){
		func(k *Key) { k.Name = "a" },
		func(k *Key) { k.Types = []string{"b"} },
		func(k *Key) { k.Subjects = []string{"c"} },
		func(k *Key) { k.Filter = "data.d" },
		func(k *Key) { k.Scopes = []string{Stream} },
		func(k *Key) { k.Origins = []string{"https://e"} },
	}
	seen := make([]error, len(fields))
	var wg sync.WaitGroup
	for i, change := range fields {
		wg.Go(func() {
			_, _, seen[i] = Edit(t.Context(), store, key.ID, 1, change)
			if errors.Is(seen[i], ErrConflict) {
				if _, _, err := Edit(t.Context(), store, key.ID, 0, change); err != nil {
					t.Errorf("edit %d on top of any other: %v", i, err)
				}
			} else if seen[i] != nil {
				t.Errorf("edit %d: %v", i, seen[i])
			}
		})
	}
	wg.Wait()
	first := 0
	for _, err := range seen {
		if err == nil {
			first++
		}
	}
	got, err := store.FindByID(t.Context(), key.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := key.clone()
	for _, change := range fields {
		change(want)
	}
	want.Revision = 1 + int64(len(fields))
	if first != 1 || !sameKey(got, want) {
		t.Errorf("%d edits of revision 1 succeeded, and the key is %+v, want one, and %+v", first, got, want)
	}
}

func editIsRepeatable(t *testing.T, store Store) {
	_, key := issue(t, store, Key{Kind: Pub, Name: "before", Expires: time.Now().Add(time.Hour)})
	change := func(k *Key) {
		k.Name, k.Merchants, k.Limits = "after", []string{"acme"}, policy.Limits{{Name: policy.Publishes, Quota: 5, Window: time.Second}}
		k.Expires = k.Expires.Add(time.Hour + time.Microsecond)
	}
	edited, fields, err := Edit(t.Context(), store, key.ID, 1, change)
	if err != nil || !slices.Equal(fields, []string{"name", "merchants", "limits", "expires_at"}) || edited.Revision != 2 {
		t.Fatalf("edited %q into %+v (%v)", fields, edited, err)
	}
	same := func(k *Key) { *k = *edited.clone() }
	for _, seen := range []int64{1, 2, 0} {
		again, fields, err := Edit(t.Context(), store, key.ID, seen, same)
		if err != nil || len(fields) > 0 || !sameKey(again, edited) {
			t.Errorf("the same edit of revision %d changed %q into %+v (%v), want nothing", seen, fields, again, err)
		}
	}
	if _, _, err := Edit(t.Context(), store, key.ID, 1, func(k *Key) { k.Name = "other" }); !errors.Is(err, ErrConflict) {
		t.Errorf("another edit of revision 1: got %v, want ErrConflict", err)
	}
	if _, _, err := Edit(t.Context(), store, key.ID, 9, same); !errors.Is(err, ErrConflict) {
		t.Errorf("the same edit of a revision to come: got %v, want ErrConflict", err)
	}
	if _, _, err := Edit(t.Context(), store, "key_none", 0, same); !errors.Is(err, ErrUnknown) {
		t.Errorf("no such key: got %v, want ErrUnknown", err)
	}
	if got, err := store.FindByID(t.Context(), key.ID); err != nil || !sameKey(got, edited) {
		t.Errorf("found %+v (%v), want %+v", got, err, edited)
	}
}

func revokedStays(t *testing.T, store Store) {
	secret, key := issue(t, store, Key{Kind: Adm, Name: "before"})
	if _, err := store.Revoke(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Edit(t.Context(), store, key.ID, 0, func(k *Key) { k.Name, k.Revoked = "after", time.Time{} }); !errors.Is(err, ErrRevoked) {
		t.Errorf("Edit: got %v, want ErrRevoked", err)
	}
	if _, _, err := Rotate(t.Context(), store, key.ID, Rotation{}); !errors.Is(err, ErrRevoked) {
		t.Errorf("Rotate: got %v, want ErrRevoked", err)
	}
	next := key.clone()
	next.Revision, next.Name = 2, "after"
	if err := store.Replace(t.Context(), next); !errors.Is(err, ErrRevoked) {
		t.Errorf("Replace: got %v, want ErrRevoked", err)
	}
	got, err := store.Find(t.Context(), secret.Hash())
	if err != nil || got.Revoked.IsZero() || got.Name != "before" || got.Revision != 1 {
		t.Errorf("found %+v (%v), want it revoked and as it was", got, err)
	}
}

func latestUseStays(t *testing.T, store Store) {
	secret, key := issue(t, store, Key{Kind: Pub})
	_, other := issue(t, store, Key{Kind: Pub})
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	many := map[string]time.Time{}
	for range 2*markedAtOnce + 1 {
		many["key_"+base62.Random(16)] = at
	}
	for _, uses := range []map[string]time.Time{
		{key.ID: at.Add(time.Minute)}, {key.ID: at}, many, {},
	} {
		if err := store.MarkUsed(t.Context(), uses); err != nil {
			t.Fatal(err)
		}
	}
	edited, _, err := Edit(t.Context(), store, key.ID, 0, func(k *Key) { k.Name = "edited" })
	if err != nil || !edited.LastUsed.Equal(at.Add(time.Minute)) {
		t.Errorf("edited into %+v (%v), want its last use kept", edited, err)
	}
	got, err := store.Find(t.Context(), secret.Hash())
	if err != nil || !sameKey(got, edited) {
		t.Errorf("found %+v (%v), want %+v", got, err, edited)
	}
	if got, err := store.FindByID(t.Context(), other.ID); err != nil || !got.LastUsed.IsZero() {
		t.Errorf("found %+v (%v), want a key that was never used", got, err)
	}
}

func TestEditChangesNothingThatIsNotTheCallers(t *testing.T) {
	store := &MemoryStore{}
	_, key := issue(t, store, Key{Kind: Live, Merchant: "acme", Name: "before"})
	edited, fields, err := Edit(t.Context(), store, key.ID, 0, func(k *Key) {
		k.ID, k.Revision, k.Created, k.Revoked = "key_other", 9, time.Now(), time.Now()
		k.secret, k.former, k.FormerUntil, k.LastUsed = Hash{1}, Hash{2}, time.Now(), time.Now()
		k.Name = "after"
	})
	want := key.clone()
	want.Name, want.Revision = "after", 2
	if err != nil || !slices.Equal(fields, []string{"name"}) || !sameKey(edited, want) {
		t.Errorf("edited %q into %+v (%v), want %+v", fields, edited, err, want)
	}
}

func TestEditThatCannotStandNamesItsField(t *testing.T) {
	tests := []struct {
		field  string
		change func(*Key)
	}{
		{"kind", func(k *Key) { k.Kind = Adm }},
		{"merchant", func(k *Key) { k.Merchant = "globex" }},
		{"types", func(k *Key) { k.Types = []string{""} }},
		{"scopes", func(k *Key) { k.Scopes = []string{Admin} }},
		{"origins", func(k *Key) { k.Origins = []string{"https://shop.example/"} }},
		{"limits", func(k *Key) { k.Limits = policy.Limits{{Name: "colours", Quota: 1}} }},
		{"limits.streams", func(k *Key) { k.Limits = policy.Limits{{Name: policy.Streams}} }},
		{"expires_at", func(k *Key) { k.Expires = time.Now().Add(-time.Second) }},
	}
	for _, test := range tests {
		store := &MemoryStore{}
		secret, key := issue(t, store, Key{Kind: Live, Merchant: "acme"})
		var refused *FieldError
		if _, _, err := Edit(t.Context(), store, key.ID, 0, test.change); !errors.As(err, &refused) || refused.Field != test.field {
			t.Errorf("%s: got %v, want a refusal", test.field, err)
		}
		if got, err := store.Find(t.Context(), secret.Hash()); err != nil || !sameKey(got, key) {
			t.Errorf("%s: the key is now %+v (%v), want it as it was", test.field, got, err)
		}
	}
}

func TestKeyAtItsEndCanBeEdited(t *testing.T) {
	store := &MemoryStore{}
	_, key := issue(t, store, Key{Kind: Adm, Expires: time.Now().Add(5 * time.Millisecond)})
	<-time.After(10 * time.Millisecond)
	if _, _, err := Edit(t.Context(), store, key.ID, 0, func(k *Key) { k.Name = "late" }); err != nil {
		t.Errorf("its name: %v", err)
	}
	if _, _, err := Edit(t.Context(), store, key.ID, 0, func(k *Key) { k.Expires = time.Now().Add(time.Hour) }); err != nil {
		t.Errorf("its end: %v", err)
	}
}

// A model of two slots decides: which secrets work, after any rotations.
func TestSecretsWorkAsTheModelSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		store := &MemoryStore{}
		secret, key, err := Issue(context.Background(), store, Key{Kind: Pub})
		if err != nil {
			t.Fatal(err)
		}
		all, working := []Secret{secret}, []Secret{secret}
		for range rapid.IntRange(1, 6).Draw(t, "rotations") {
			overlap := rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(t, "overlap")
			secret, _, err := Rotate(context.Background(), store, key.ID, Rotation{Overlap: overlap})
			if refused := overlap > 0 && len(working) == 2; refused != errors.Is(err, ErrOverlap) || !refused && err != nil {
				t.Fatalf("with %d secrets and an overlap of %v: %v", len(working), overlap, err)
			} else if refused {
				continue
			}
			all = append(all, secret)
			if working = append(working, secret); overlap == 0 {
				working = []Secret{secret}
			}
		}
		ring := NewKeyring(store, KeyringOptions{})
		for i, s := range all {
			_, _, err := ring.Authenticate(context.Background(), s.Reveal())
			if works := err == nil; works != slices.Contains(working, s) {
				t.Fatalf("secret %d of %d works: %t (%v)", i, len(all), works, err)
			}
		}
	})
}
