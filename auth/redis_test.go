package auth

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/base62"
	"github.com/paylogic/pushserver/internal/rediscluster"
	"github.com/paylogic/pushserver/internal/redistest"
)

func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }

// emptyCluster deletes everything in the shared cluster and returns a client.
func emptyCluster(t testing.TB) *rediscluster.Client {
	t.Helper()
	client := openClient(t, redistest.Shared(t).Addrs()...)
	err := client.EachMaster(t.Context(), func(ctx context.Context, node *redis.Client) error {
		return node.FlushAll(ctx).Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// openClient returns a client with connections of its own. The store's own
// deadlines are the only ones.
func openClient(t testing.TB, addrs ...string) *rediscluster.Client {
	t.Helper()
	client, err := rediscluster.Open(t.Context(), rediscluster.Options{Addrs: addrs, PoolSize: 32, ReadTimeout: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// keyspace returns every key of the cluster, and all that is kept under it.
func keyspace(t *testing.T, client *rediscluster.Client) map[string]string {
	t.Helper()
	var mu sync.Mutex // masters are visited at once
	found := map[string]string{}
	err := client.EachMaster(t.Context(), func(ctx context.Context, node *redis.Client) error {
		keys := node.Scan(ctx, 0, "*", 100).Iterator()
		for keys.Next(ctx) {
			content, err := contentOf(ctx, node, keys.Val())
			if err != nil {
				return err
			}
			mu.Lock()
			found[keys.Val()] = content
			mu.Unlock()
		}
		return keys.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func contentOf(ctx context.Context, node *redis.Client, key string) (string, error) {
	kind, err := node.Type(ctx, key).Result()
	if err != nil {
		return "", err
	}
	switch kind {
	case "hash":
		fields, err := node.HGetAll(ctx, key).Result()
		return fmt.Sprint(fields), err
	case "string":
		return node.Get(ctx, key).Result()
	case "zset":
		members, err := node.ZRange(ctx, key, 0, -1).Result()
		return fmt.Sprint(members), err
	}
	return "", fmt.Errorf("%s is a %s, which no store keeps", key, kind)
}

func TestRedisHoldsNoSecret(t *testing.T) {
	client := emptyCluster(t)
	store := NewRedisStore(client, RedisOptions{Replicated: true, WaitTimeout: 5 * time.Second})
	var secrets []Secret
	for _, kind := range allKinds {
		for range 5 {
			description := Key{Kind: kind, Name: "a name"}
			if kind.Reads() {
				description.Merchant = "acme"
			}
			secret, key := issue(t, store, description)
			if _, err := store.Find(t.Context(), secret.Hash()); err != nil {
				t.Fatal(err)
			}
			next, _, err := Rotate(t.Context(), store, key.ID, Rotation{Overlap: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			if err := store.MarkUsed(t.Context(), map[string]time.Time{key.ID: time.Now()}); err != nil {
				t.Fatal(err)
			}
			if _, err := store.Revoke(t.Context(), key.ID); err != nil {
				t.Fatal(err)
			}
			secrets = append(secrets, secret, next)
		}
	}

	found := keyspace(t, client)
	if want := 7; len(found) != want {
		t.Errorf("the store uses %d Redis keys, want %d", len(found), want)
	}
	var all strings.Builder
	for key, content := range found {
		if !strings.HasPrefix(key, "ps:{auth}:") {
			t.Errorf("Redis key %q lies outside ps:{auth}:", key)
		}
		fmt.Fprintln(&all, key, content)
	}
	dump := all.String()
	for _, secret := range secrets {
		if !strings.Contains(dump, secret.Hash().String()) {
			t.Error("a hash is missing, so the dump is not complete")
		}
		_, random, _ := strings.Cut(strings.TrimPrefix(secret.Reveal(), secretPrefix), "_")
		for _, part := range []string{random[:12], random[12:24], random[18:]} {
			if strings.Contains(dump, part) {
				t.Errorf("a part of a %s secret is in Redis", secret.Kind())
			}
		}
	}
}

func TestRedisThatIsAwayIsUnavailable(t *testing.T) {
	node := redistest.StartStandalone(t)
	store := NewRedisStore(openClient(t, node.Addr()), RedisOptions{})
	secret, key := issue(t, store, Key{Kind: Live, Merchant: "acme"})
	if got, err := store.Find(t.Context(), secret.Hash()); err != nil || !sameKey(got, key) {
		t.Fatalf("alone, Redis answers %+v (%v), want %+v", got, err, key)
	}
	node.Kill()

	ctx := t.Context()
	calls := map[string]func() error{
		"Create":           func() error { return store.Create(ctx, key) },
		"CreateFirstAdmin": func() error { _, err := store.CreateFirstAdmin(ctx, key); return err },
		"FindByID":         func() error { _, err := store.FindByID(ctx, key.ID); return err },
		"Replace":          func() error { return store.Replace(ctx, key) },
		"MarkUsed":         func() error { return store.MarkUsed(ctx, map[string]time.Time{key.ID: time.Now()}) },
		"Find":             func() error { _, err := store.Find(ctx, secret.Hash()); return err },
		"List":             func() error { _, err := store.List(ctx, "", 1); return err },
		"List after":       func() error { _, err := store.List(ctx, key.ID, 1); return err },
		"Revoke":           func() error { _, err := store.Revoke(ctx, key.ID); return err },
		"MerchantExists":   func() error { _, err := store.MerchantExists(ctx, "acme"); return err },
		"AddMerchant":      func() error { return store.AddMerchant(ctx, "globex") },
		"Merchants":        func() error { _, err := store.Merchants(ctx, "", 1); return err },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknown) {
			t.Errorf("%s: got %v, want ErrUnavailable", name, err)
		}
	}
}

// A counter counts the commands that a client sends, scripts among them.
type counter struct{ commands atomic.Int64 }

func (c *counter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.commands.Add(1)
		return next(ctx, cmd)
	}
}

func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.commands.Add(int64(len(cmds)))
		return next(ctx, cmds)
	}
}

func TestAttack02WrongChecksumCostsNoCommandAndAKeyCostsOne(t *testing.T) {
	client := emptyCluster(t)
	store := NewRedisStore(client, RedisOptions{})
	secret, _ := issue(t, store, Key{Kind: Live, Merchant: "acme"})
	if _, err := store.Find(t.Context(), Mint(Live).Hash()); !errors.Is(err, ErrUnknown) { // Redis knows the script now
		t.Fatal(err)
	}
	var count counter
	client.AddHook(&count)
	ring := NewKeyring(store, KeyringOptions{TTL: time.Hour})
	wrong := []byte(secret.Reveal())
	if wrong[10]++; !base62.Is(wrong[10]) {
		wrong[10] = 'a'
	}
	for _, step := range []struct {
		name, text string
		err        error
		commands   int64 // in all, by then
	}{
		{"a wrong checksum", string(wrong), ErrMalformed, 0},
		{"a key", secret.Reveal(), nil, 1},
		{"the same key", secret.Reveal(), nil, 1},
		{"an unknown key", Mint(Live).Reveal(), ErrUnknown, 2},
	} {
		if _, _, err := ring.Authenticate(t.Context(), step.text); !errors.Is(err, step.err) {
			t.Errorf("%s: got %v, want %v", step.name, err, step.err)
		}
		if got := count.commands.Load(); got != step.commands {
			t.Errorf("after %s: %d commands, want %d", step.name, got, step.commands)
		}
	}
}
