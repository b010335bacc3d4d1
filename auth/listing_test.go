package auth

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// create keeps a key without Issue, for tests that choose ids and times.
func create(t *testing.T, store Store, id string, created time.Time) {
	t.Helper()
	if err := store.Create(t.Context(), &Key{ID: id, Kind: Adm, Created: created, secret: Mint(Adm).Hash()}); err != nil {
		t.Fatal(err)
	}
}

func listedByPage(t *testing.T, store Store) {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, key := range []struct {
		id string
		at time.Duration
	}{{"key_d", 0}, {"key_b", time.Millisecond}, {"key_a", time.Hour}, {"key_B", time.Millisecond}, {"key_c", time.Millisecond}} {
		create(t, store, key.id, start.Add(key.at))
	}
	want := []string{"key_d", "key_B", "key_b", "key_c", "key_a"}
	for _, limit := range []int{-1, 0, 1, 2, 3, 5, 6, MaxPage + 1} {
		var got []string
		after := ""
		for range len(want) + 1 {
			page, err := store.List(t.Context(), after, limit)
			if err != nil {
				t.Fatal(err)
			}
			if limit > 0 && len(page) > limit {
				t.Fatalf("a page of %d keys, want at most %d", len(page), limit)
			}
			if len(page) == 0 {
				break
			}
			got = append(got, ids(page)...)
			after = page[len(page)-1].ID
		}
		if !slices.Equal(got, want) {
			t.Errorf("by pages of %d: got %v, want %v", limit, got, want)
		}
	}
}

func listedBeyondAPage(t *testing.T, store Store) {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for i := range MaxPage + 1 {
		create(t, store, fmt.Sprintf("key_%04d", i), start)
	}
	n := 0
	for key, err := range AllKeys(t.Context(), store) {
		if want := fmt.Sprintf("key_%04d", n); err != nil || key.ID != want {
			t.Fatalf("key %d is %+v (%v), want %s", n, key, err, want)
		}
		n++
	}
	if n != MaxPage+1 {
		t.Errorf("listed %d keys, want %d", n, MaxPage+1)
	}
	for range AllKeys(t.Context(), store) {
		break // a caller may stop where it likes
	}
}

func merchantsExist(t *testing.T, store Store) {
	issue(t, store, Key{Kind: Live, Merchant: "acme"})
	issue(t, store, Key{Kind: Test, Merchant: "globex"})
	issue(t, store, Key{Kind: Pub, Merchants: []string{"hooli"}}) // may publish there once there is a there
	for range 2 {
		if err := store.AddMerchant(t.Context(), "initech"); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]bool{
		"acme": true, "globex": true, "initech": true,
		"hooli": false, "acm": false, "acme.test": false, "_control": false, "": false,
	} {
		if got, err := store.MerchantExists(t.Context(), name); err != nil || got != want {
			t.Errorf("merchant %q exists: got %t (%v), want %t", name, got, err, want)
		}
	}
}

func merchantsByPage(t *testing.T, store Store) {
	want := []string{"-", "0", "a", "a-1", "a1", "aa", "b"}
	for _, name := range []string{"b", "a", "a1", "-", "aa", "a-1", "0", "a"} {
		if err := store.AddMerchant(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	all, err := store.Merchants(t.Context(), "", 0)
	if err != nil || !slices.Equal(all, want) {
		t.Errorf("merchants are %q (%v), want %q", all, err, want)
	}
	for _, test := range []struct {
		after string
		limit int
		want  []string
	}{
		{"", 2, want[:2]},
		{"0", 2, want[2:4]},
		{"a0", 2, want[4:6]}, // which is not there
		{"b", 2, nil},
		{"a", MaxPage + 1, want[3:]},
	} {
		got, err := store.Merchants(t.Context(), test.after, test.limit)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%d merchants after %q: got %q (%v), want %q", test.limit, test.after, got, err, test.want)
		}
	}
}

func TestListingEndsWithAnError(t *testing.T) {
	store := &watched{}
	store.away.Store(true)
	n := 0
	for key, err := range AllKeys(t.Context(), store) {
		if n++; key != nil || !errors.Is(err, ErrUnavailable) {
			t.Errorf("got %+v (%v), want ErrUnavailable", key, err)
		}
	}
	if n != 1 {
		t.Errorf("got %d answers, want the error alone", n)
	}
}
