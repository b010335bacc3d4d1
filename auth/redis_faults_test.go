package auth

import (
	"errors"
	"testing"
	"time"

	"github.com/paylogic/pushserver/internal/redistest"
)

func TestSilentRedisIsUnavailableAtTheDeadline(t *testing.T) {
	node := redistest.StartStandalone(t)
	store := NewRedisStore(openClient(t, node.Addr()), RedisOptions{})
	secret, key := issue(t, store, Key{Kind: Live, Merchant: "acme"})
	uncached, _ := issue(t, store, Key{Kind: Live, Merchant: "acme"})
	ring := NewKeyring(store, KeyringOptions{TTL: time.Nanosecond}) // asks every time
	authenticates := func(secret Secret, want error) {
		t.Helper()
		if _, _, err := ring.Authenticate(t.Context(), secret.Reveal()); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	authenticates(secret, nil)

	node.Pause() // it accepts, and answers nothing
	store.timeout = 50 * time.Millisecond
	authenticates(secret, nil)
	authenticates(uncached, ErrUnavailable)
	authenticates(Mint(Live), ErrUnavailable)
	if _, err := store.Revoke(t.Context(), key.ID); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Revoke: got %v, want ErrUnavailable", err)
	}
	if err := store.AddMerchant(t.Context(), "globex"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("AddMerchant: got %v, want ErrUnavailable", err)
	}

	node.Resume()
	store.timeout = redisTimeout
	authenticates(uncached, nil)
	authenticates(Mint(Live), ErrUnknown)
}

func TestStoreFollowsItsSlot(t *testing.T) {
	store := NewRedisStore(emptyCluster(t), RedisOptions{Replicated: true, WaitTimeout: 5 * time.Second})
	secret, key := issue(t, store, Key{Kind: Live, Merchant: "acme"})
	// works reads and writes through the client that knew the slot's old place.
	works := func(after string) {
		t.Helper()
		if got, err := store.Find(t.Context(), secret.Hash()); err != nil || !sameKey(got, key) {
			t.Errorf("after %s: found %+v (%v), want %+v", after, got, err, key)
		}
		made, _ := issue(t, store, Key{Kind: Adm, Name: after})
		if _, err := store.Find(t.Context(), made.Hash()); err != nil {
			t.Errorf("after %s: a new key: %v", after, err)
		}
	}

	cluster := redistest.Shared(t)
	cluster.Failover(cluster.Replica(cluster.Master(redisRecords)))
	works("a failover")
	cluster.MigrateSlot(redisRecords, cluster.Master("elsewhere"))
	works("a migration")

	if _, err := store.Revoke(t.Context(), key.ID); err != nil {
		t.Error(err)
	}
	keys, err := store.List(t.Context(), "", 0)
	if err != nil || len(keys) != 3 || keys[0].Revoked.IsZero() {
		t.Errorf("listed %v (%v), want three keys, the first one revoked", ids(keys), err)
	}
}

func TestDamagedRecordIsNeitherUnknownNorUnavailable(t *testing.T) {
	client := emptyCluster(t)
	store := NewRedisStore(client, RedisOptions{})
	for _, damage := range []struct{ field, value string }{
		{redisRecords, "{"},
		{redisRecords, `{"v":3,"id":"key_1","kind":"adm"}`},
		{redisRevoked, "yesterday"}, // read as never, it would bring the key back
		{redisUsed, "yesterday"},
	} {
		secret, key := issue(t, store, Key{Kind: Adm})
		if err := client.HSet(t.Context(), damage.field, key.ID, damage.value).Err(); err != nil {
			t.Fatal(err)
		}
		key, err := store.Find(t.Context(), secret.Hash())
		if err == nil || errors.Is(err, ErrUnknown) || errors.Is(err, ErrUnavailable) {
			t.Errorf("%s %q: got %+v (%v), want an error of its own", damage.field, damage.value, key, err)
		}
	}
}
