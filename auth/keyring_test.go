package auth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paylogic/pushserver/internal/base62"
)

// watched is a memory store that counts what it is asked and can be away.
type watched struct {
	MemoryStore
	asked atomic.Int64
	away  atomic.Bool
	hold  chan struct{} // if not nil, answers that were found are given once it is closed
}

func (w *watched) ask() error {
	w.asked.Add(1)
	if w.away.Load() {
		return fmt.Errorf("watched: %w", ErrUnavailable)
	}
	return nil
}

func (w *watched) Find(ctx context.Context, hash Hash) (*Key, error) {
	return w.find(func() (*Key, error) { return w.MemoryStore.Find(ctx, hash) })
}

func (w *watched) FindByID(ctx context.Context, id string) (*Key, error) {
	return w.find(func() (*Key, error) { return w.MemoryStore.FindByID(ctx, id) })
}

func (w *watched) find(find func() (*Key, error)) (*Key, error) {
	if err := w.ask(); err != nil {
		return nil, err
	}
	hold := w.hold
	key, err := find()
	if hold != nil {
		<-hold
	}
	return key, err
}

func (w *watched) MarkUsed(ctx context.Context, at map[string]time.Time) error {
	if err := w.ask(); err != nil {
		return err
	}
	return w.MemoryStore.MarkUsed(ctx, at)
}

func (w *watched) List(ctx context.Context, after string, limit int) ([]*Key, error) {
	if err := w.ask(); err != nil {
		return nil, err
	}
	return w.MemoryStore.List(ctx, after, limit)
}

func (w *watched) MerchantExists(ctx context.Context, name string) (bool, error) {
	if err := w.ask(); err != nil {
		return false, err
	}
	return w.MemoryStore.MerchantExists(ctx, name)
}

// bench is a keyring over a watched store that holds one key.
type bench struct {
	*testing.T
	store  *watched
	ring   *Keyring
	secret Secret
	key    *Key
}

// inBench runs a test where time is the test's own.
func inBench(t *testing.T, description Key, test func(bench)) {
	synctest.Test(t, func(t *testing.T) {
		store := &watched{}
		secret, key := issue(t, store, description)
		test(bench{t, store, NewKeyring(store, KeyringOptions{}), secret, key})
	})
}

// wants authenticates with the key's own secret.
func (b bench) wants(want error) {
	b.Helper()
	b.wantsOf(b.secret.Reveal(), want)
}

func (b bench) wantsOf(text string, want error) {
	b.Helper()
	key, _, err := b.ring.Authenticate(b.Context(), text)
	switch {
	case !errors.Is(err, want):
		b.Errorf("got %v, want %v", err, want)
	case want == nil && key.ID != b.key.ID:
		b.Errorf("got %s, want %s", key.ID, b.key.ID)
	case want != nil && key != nil:
		b.Errorf("got %s beside %v", key.ID, err)
	}
}

func (b bench) wantsAsked(want int64) {
	b.Helper()
	if got := b.store.asked.Load(); got != want {
		b.Errorf("the store was asked %d times, want %d", got, want)
	}
}

var liveKey = Key{Kind: Live, Merchant: "acme"}

func TestKeyIsCachedForItsTTL(t *testing.T) {
	inBench(t, liveKey, func(b bench) {
		for range 10 {
			b.wants(nil)
		}
		time.Sleep(defaultTTL - 1)
		b.wants(nil)
		b.wantsAsked(1)
		time.Sleep(time.Nanosecond)
		b.wants(nil)
		b.wantsAsked(2)
	})
}

func TestWrongChecksumCostsNoLookup(t *testing.T) {
	inBench(t, liveKey, func(b bench) {
		text := []byte(b.secret.Reveal())
		if text[10]++; !base62.Is(text[10]) {
			text[10] = 'a'
		}
		b.wantsOf(string(text), ErrMalformed)
		b.wantsOf("", ErrMalformed)
		b.wantsAsked(0)
	})
}

func TestExpiryIsCheckedOnEveryCall(t *testing.T) {
	inBench(t, liveKey, func(b bench) {
		b.secret, b.key = issue(b.T, b.store, Key{Kind: Adm, Expires: time.Now().Add(time.Second)})
		b.wants(nil)
		time.Sleep(time.Second)
		b.wants(ErrExpired) // from the cache
		b.wantsAsked(1)
	})
}

func TestRevocationIsSeenWithinTheTTLAndThenOnEveryCall(t *testing.T) {
	inBench(t, liveKey, func(b bench) {
		b.wants(nil)
		if _, err := b.store.Revoke(b.Context(), b.key.ID); err != nil {
			b.Fatal(err)
		}
		time.Sleep(defaultTTL)
		b.wants(ErrRevoked)
		b.wants(ErrRevoked)
		b.wantsAsked(2)
		b.store.away.Store(true)
		time.Sleep(defaultTTL)
		b.wants(ErrRevoked) // an outage makes nothing good again
	})
}

func TestCachedKeyOutlivesAnOutageUpToTheLimit(t *testing.T) {
	inBench(t, liveKey, func(b bench) {
		b.wants(nil)
		b.store.away.Store(true)
		time.Sleep(StaleLimit - 1)
		b.wants(nil)
		b.wants(nil)
		b.wantsAsked(2) // a store that has just failed is spared
		time.Sleep(time.Nanosecond)
		b.wants(ErrUnavailable)
		b.store.away.Store(false)
		b.wants(nil)
	})
}

func TestStoreThatFailedIsAskedAgain(t *testing.T) {
	inBench(t, liveKey, func(b bench) {
		b.wants(nil)
		b.store.away.Store(true)
		time.Sleep(defaultTTL)
		b.wants(nil)
		if _, err := b.store.Revoke(b.Context(), b.key.ID); err != nil {
			b.Fatal(err)
		}
		b.store.away.Store(false)
		time.Sleep(retryAfter)
		b.wants(ErrRevoked)
	})
}

func TestUncachedKeyIsNotJudgedDuringAnOutage(t *testing.T) {
	inBench(t, liveKey, func(b bench) {
		b.store.away.Store(true)
		b.wants(ErrUnavailable)
		b.wantsOf(Mint(Live).Reveal(), ErrUnavailable)
		b.store.away.Store(false)
		b.wants(nil) // the outage is not remembered against it
	})
}

func TestUnknownSecretIsRememberedForAWhile(t *testing.T) {
	inBench(t, liveKey, func(b bench) {
		text := Mint(Live).Reveal()
		b.wantsOf(text, ErrUnknown)
		b.wantsOf(text, ErrUnknown)
		b.wantsAsked(1)
		time.Sleep(unknownFor)
		b.wantsOf(text, ErrUnknown)
		b.wantsAsked(2)
	})
}

func TestCachesAreBoundedAndWrongSecretsPushOutNoGoodKey(t *testing.T) {
	const size = 4
	store := &watched{}
	ring := NewKeyring(store, KeyringOptions{Size: size, TTL: time.Hour})
	authenticate := func(secret Secret, want error) {
		t.Helper()
		if _, _, err := ring.Authenticate(t.Context(), secret.Reveal()); !errors.Is(err, want) {
			t.Fatalf("got %v, want %v", err, want)
		}
	}
	var last Secret
	for i := range 5 * size {
		last, _ = issue(t, store, Key{Kind: Live, Merchant: fmt.Sprint("m-", i)})
		authenticate(last, nil)
		if exists, err := ring.MerchantExists(t.Context(), fmt.Sprint("m-", i)); err != nil || !exists {
			t.Fatalf("merchant %d exists: %t (%v)", i, exists, err)
		}
	}
	for range 5 * size {
		authenticate(Mint(Live), ErrUnknown)
	}
	known, unknown, merchants := len(ring.keys.entries), len(ring.unknown.entries), len(ring.merchants.entries)
	if known != size || unknown != size || merchants != size {
		t.Errorf("cached are %d keys, %d unknown hashes and %d merchants, want %d of each", known, unknown, merchants, size)
	}
	before := store.asked.Load()
	authenticate(last, nil)
	if store.asked.Load() != before {
		t.Error("wrong secrets pushed out a good key")
	}
}

func TestKeyAskedForLastIsKeptLongest(t *testing.T) {
	c := newCache[string, int](2)
	c.put("a", 1)
	c.put("b", 2)
	c.get("a")
	c.put("c", 3)
	if _, ok := c.get("b"); ok {
		t.Error("b is cached, though a was asked for later")
	}
	c.put("a", 4)
	if v, ok := c.get("a"); !ok || v != 4 {
		t.Errorf("a is %d (%t), want 4", v, ok)
	}
	c.drop("a")
	c.drop("a")
	if _, ok := c.get("a"); ok || len(c.entries) != 1 {
		t.Errorf("a was dropped, and %d values are left, want c alone", len(c.entries))
	}
}

func TestCallersShareALookupAndOneMayLeave(t *testing.T) {
	inBench(t, liveKey, func(b bench) {
		b.store.hold = make(chan struct{})
		leaving, leave := context.WithCancel(b.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, _, err := b.ring.Authenticate(leaving, b.secret.Reveal()); !errors.Is(err, context.Canceled) {
				b.Errorf("who left got %v, want the context's end", err)
			}
		})
		synctest.Wait() // the one who leaves has begun the look-up
		for range 10 {
			wg.Go(func() { b.wants(nil) })
		}
		synctest.Wait()
		leave()
		synctest.Wait()
		close(b.store.hold)
		wg.Wait()
		b.wantsAsked(1)
	})
}

func TestMerchantOnceSeenIsBelievedAndAMissingOneIsNot(t *testing.T) {
	inBench(t, liveKey, func(b bench) {
		exists := func(name string, want bool) {
			b.Helper()
			if got, err := b.ring.MerchantExists(b.Context(), name); err != nil || got != want {
				b.Errorf("merchant %q exists: got %t (%v), want %t", name, got, err, want)
			}
		}
		exists("acme", true)
		exists("acme", true)
		exists("_control", false) // no merchant's name, so the store is not asked
		b.wantsAsked(1)
		exists("globex", false)
		if err := b.store.AddMerchant(b.Context(), "globex"); err != nil {
			b.Fatal(err)
		}
		exists("globex", true)
		b.wantsAsked(3)
		b.store.away.Store(true)
		exists("acme", true)
		if _, err := b.ring.MerchantExists(b.Context(), "initech"); !errors.Is(err, ErrUnavailable) {
			b.Errorf("got %v, want ErrUnavailable", err)
		}
	})
}

func BenchmarkAuthenticateCached(b *testing.B) {
	store := &MemoryStore{}
	secret, _ := issue(b, store, liveKey)
	ring := NewKeyring(store, KeyringOptions{TTL: time.Hour})
	text := secret.Reveal()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := ring.Authenticate(b.Context(), text); err != nil {
			b.Fatal(err)
		}
	}
}
