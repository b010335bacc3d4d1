package auth

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/redistest"
)

// Each change is made while the only replica is frozen, then again on a
// connection that has written nothing, and once more when the replica is back.
func TestChangeIsConfirmedByAReplicaOrSaysThatItIsNot(t *testing.T) {
	client := emptyCluster(t)
	patient := NewRedisStore(client, RedisOptions{Replicated: true, WaitTimeout: 10 * time.Second})
	short := RedisOptions{Replicated: true, WaitTimeout: 50 * time.Millisecond}
	hasty, another := NewRedisStore(client, short), NewRedisStore(openClient(t, redistest.Shared(t).Addrs()...), short)
	best := NewRedisStore(client, RedisOptions{})

	_, edited := issue(t, patient, Key{Kind: Adm})
	_, rotated := issue(t, patient, Key{Kind: Adm})
	_, revoked := issue(t, patient, Key{Kind: Adm})
	_, created, err := describe(Key{Kind: Live, Merchant: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	secret := Mint(Adm)
	changes := map[string]func(Store) error{
		"Create": func(s Store) error { return s.Create(t.Context(), created) },
		"Edit": func(s Store) error {
			key, _, err := Edit(t.Context(), s, edited.ID, 1, func(k *Key) { k.Name = "after" })
			if key == nil || key.Name != "after" {
				t.Errorf("edited into %+v beside %v", key, err)
			}
			return err
		},
		"Rotate": func(s Store) error {
			_, key, err := Rotate(t.Context(), s, rotated.ID, Rotation{Revision: 1, Secret: secret, Overlap: time.Hour})
			if key == nil || key.secret != secret.Hash() {
				t.Errorf("rotated into %+v beside %v", key, err)
			}
			return err
		},
		"Revoke": func(s Store) error {
			key, err := s.Revoke(t.Context(), revoked.ID)
			if key == nil || key.Revoked.IsZero() {
				t.Errorf("revoked into %+v beside %v", key, err)
			}
			return err
		},
		"AddMerchant": func(s Store) error { return s.AddMerchant(t.Context(), "globex") },
	}
	all := func(when string, s Store, want error) {
		t.Helper()
		for name, change := range changes {
			if err := change(s); !errors.Is(err, want) {
				t.Errorf("%s %s: got %v, want %v", name, when, err, want)
			}
		}
	}

	if _, err := another.FindByID(t.Context(), edited.ID); err != nil { // it knows who serves what
		t.Fatal(err)
	}
	cluster := redistest.Shared(t)
	replica := cluster.Replica(cluster.Master(redisRecords))
	replica.Pause()
	all("with its replica frozen", hasty, ErrNotReplicated)
	all("again", another, ErrNotReplicated)
	all("without waiting", best, nil)
	if err := hasty.MarkUsed(t.Context(), map[string]time.Time{edited.ID: time.Now()}); err != nil {
		t.Errorf("a use was waited for: %v", err)
	}
	for name, want := range map[string]error{"edited": nil, "revoked": ErrRevoked} {
		id := map[string]string{"edited": edited.ID, "revoked": revoked.ID}[name]
		if got, err := hasty.FindByID(t.Context(), id); err != nil || !errors.Is(got.Usable(time.Now()), want) {
			t.Errorf("the %s key is %+v (%v), want the change in effect", name, got, err)
		}
	}
	replica.Resume()
	cluster.AwaitHealthy()
	all("once the replica is back", patient, nil)
	if got, err := patient.FindByID(t.Context(), edited.ID); err != nil || got.Revision != 2 {
		t.Errorf("the edited key is %+v (%v), want it edited once", got, err)
	}
}

func TestFirstKeyIsHandedOverThoughItIsNotReplicated(t *testing.T) {
	store := NewRedisStore(emptyCluster(t), RedisOptions{Replicated: true, WaitTimeout: 50 * time.Millisecond})
	if err := store.MarkUsed(t.Context(), map[string]time.Time{"key_none": {}}); err != nil { // it knows who serves what
		t.Fatal(err)
	}
	cluster := redistest.Shared(t)
	replica := cluster.Replica(cluster.Master(redisRecords))
	replica.Pause()
	secret, key, err := EnsureAdmin(t.Context(), store, Secret{})
	replica.Resume()
	cluster.AwaitHealthy()
	if !errors.Is(err, ErrNotReplicated) || key == nil {
		t.Fatalf("got %+v (%v), want a key and ErrNotReplicated", key, err)
	}
	if got, err := store.Find(t.Context(), secret.Hash()); err != nil || got.ID != key.ID {
		t.Errorf("found %+v (%v), want %s", got, err, key.ID)
	}
}

func TestChangeReachesANodeThatDoesNotKnowItsScript(t *testing.T) {
	client := emptyCluster(t)
	store := NewRedisStore(client, RedisOptions{Replicated: true, WaitTimeout: 10 * time.Second})
	forget := func() {
		t.Helper()
		err := client.EachMaster(t.Context(), func(ctx context.Context, node *redis.Client) error {
			return node.ScriptFlush(ctx).Err()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	forget()
	secret, key := issue(t, store, Key{Kind: Adm})
	forget()
	if got, err := store.Find(t.Context(), secret.Hash()); err != nil || !sameKey(got, key) {
		t.Errorf("found %+v (%v), want %+v", got, err, key)
	}
	forget()
	if _, err := store.Revoke(t.Context(), key.ID); err != nil {
		t.Error(err)
	}
}
