package auth

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestKeyIsUsableUntilItEnds(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name string
		key  Key
		want error
	}{
		{"never expires", Key{}, nil},
		{"expires later", Key{Expires: now.Add(time.Millisecond)}, nil},
		{"expires now", Key{Expires: now}, ErrExpired},
		{"has expired", Key{Expires: now.Add(-time.Hour)}, ErrExpired},
		{"is revoked", Key{Revoked: now.Add(-time.Hour)}, ErrRevoked},
		{"is revoked by a clock that is ahead", Key{Revoked: now.Add(time.Hour)}, ErrRevoked},
		{"is revoked and has expired", Key{Revoked: now, Expires: now}, ErrRevoked},
	}
	for _, test := range tests {
		if err := test.key.Usable(now); !errors.Is(err, test.want) {
			t.Errorf("a key that %s: got %v, want %v", test.name, err, test.want)
		}
	}
}

func TestSecretEndsWithItsKeyOrItsOverlap(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	present, former := Hash{1}, Hash{2}
	later := now.Add(time.Hour)
	tests := []struct {
		name string
		key  Key
		hash Hash
		want error
		ends time.Time
	}{
		{"the secret", Key{}, present, nil, time.Time{}},
		{"the secret of a key that expires", Key{Expires: later}, present, nil, later},
		{"the secret of one that has expired", Key{Expires: now}, present, ErrExpired, now},
		{"the former", Key{former: former, FormerUntil: later}, former, nil, later},
		{"the former, at its end", Key{former: former, FormerUntil: now}, former, ErrExpired, now},
		{"the former of a key that expires later", Key{former: former, FormerUntil: later, Expires: later.Add(1)}, former, nil, later},
		{"the former of a key that expires sooner", Key{former: former, FormerUntil: later, Expires: later.Add(-1)}, former, nil, later.Add(-1)},
		{"the former of a revoked key", Key{former: former, FormerUntil: now, Revoked: now}, former, ErrRevoked, now},
		{"another", Key{former: former, FormerUntil: later}, Hash{3}, ErrUnknown, later},
		{"none, of a key without a former", Key{}, Hash{}, ErrUnknown, time.Time{}},
	}
	for _, test := range tests {
		test.key.secret = present
		if err := test.key.UsableBy(test.hash, now); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
		if got := test.key.Ends(test.hash); !got.Equal(test.ends) {
			t.Errorf("%s: ends at %v, want %v", test.name, got, test.ends)
		}
	}
}

var allKinds = []Kind{Live, Test, Pub, Adm}

func TestKindsNeverCross(t *testing.T) {
	roles := map[string][]Kind{
		Stream:  {Live, Test},
		History: {Live, Test},
		Publish: {Pub},
		Admin:   {Adm},
		Me:      allKinds,
	}
	for scope, kinds := range roles {
		for _, kind := range append(slices.Clone(allKinds), "", "root") {
			want := slices.Contains(kinds, kind)
			if got := (&Key{Kind: kind}).May(scope); got != want {
				t.Errorf("a %q key may %s: got %t, want %t", kind, scope, got, want)
			}
			// Not even if the record says so.
			if got := (&Key{Kind: kind, Scopes: []string{scope}}).May(scope); got != want {
				t.Errorf("a %q key with scope %s may: got %t, want %t", kind, scope, got, want)
			}
		}
	}
}

func TestScopesNarrowAndNeverWiden(t *testing.T) {
	all := []string{Stream, History, Me, Publish, Admin, "", "other"}
	rapid.Check(t, func(t *rapid.T) {
		key := &Key{
			Kind:   anyKind(t),
			Scopes: rapid.SliceOfDistinct(rapid.SampledFrom(all), rapid.ID[string]).Draw(t, "scopes"),
		}
		granted := key.Granted()
		for _, scope := range all {
			may := key.May(scope)
			if may && !(&Key{Kind: key.Kind}).May(scope) {
				t.Fatalf("scope %q goes beyond the kind", scope)
			}
			if may && len(key.Scopes) > 0 && !slices.Contains(key.Scopes, scope) {
				t.Fatalf("scope %q was not given", scope)
			}
			if may != slices.Contains(granted, scope) {
				t.Fatalf("granted are %q, yet may %q is %t", granted, scope, may)
			}
		}
	})
}

func TestEachReadingKeyHasOneLog(t *testing.T) {
	tests := []struct {
		key  Key
		want string
	}{
		{Key{Kind: Live, Merchant: "acme"}, "acme"},
		{Key{Kind: Test, Merchant: "acme"}, "acme.test"},
		{Key{Kind: Pub}, ""},
		{Key{Kind: Adm}, ""},
	}
	for _, test := range tests {
		if got := test.key.Log(); got != test.want {
			t.Errorf("log of a %s key: got %q, want %q", test.key.Kind, got, test.want)
		}
	}
}

func TestPublisherIsBoundToItsMerchants(t *testing.T) {
	tests := []struct {
		name string
		key  Key
		want bool
	}{
		{"bound to none", Key{Kind: Pub}, true},
		{"bound to this one", Key{Kind: Pub, Merchants: []string{"globex", "acme"}}, true},
		{"bound to another", Key{Kind: Pub, Merchants: []string{"globex"}}, false},
		{"without the scope", Key{Kind: Pub, Scopes: []string{Me}}, false},
		{"that is a merchant's own", Key{Kind: Live, Merchant: "acme"}, false},
		{"that is a merchant's own, with a list", Key{Kind: Live, Merchants: []string{"acme"}}, false},
		{"that is an admin's", Key{Kind: Adm}, false},
	}
	for _, test := range tests {
		if got := test.key.MayPublishTo("acme"); got != test.want {
			t.Errorf("a key %s may publish to acme: got %t, want %t", test.name, got, test.want)
		}
	}
}
