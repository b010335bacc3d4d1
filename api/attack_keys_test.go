package api

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams/eventlog"
)

func TestAttack01StreamWithoutCredentials(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	got := r.do(t, "GET", "/v1/stream", "", "")
	got.refused(t, "no credentials", 401, "unauthenticated")
	if challenge := got.header.Get("WWW-Authenticate"); challenge != `Bearer realm="pushserver"` {
		t.Errorf("WWW-Authenticate is %q", challenge)
	}
	r.alive(t)
}

// A countingStore counts the look-ups of keys.
type countingStore struct {
	auth.Store
	asked atomic.Int64
}

func (s *countingStore) Find(ctx context.Context, hash auth.Hash) (*auth.Key, error) {
	s.asked.Add(1)
	return s.Store.Find(ctx, hash)
}

func (s *countingStore) FindByID(ctx context.Context, id string) (*auth.Key, error) {
	s.asked.Add(1)
	return s.Store.FindByID(ctx, id)
}

func TestAttack02WrongChecksumAsksNoStore(t *testing.T) {
	t.Parallel()
	store := new(countingStore)
	r := startRig(t, eventlog.MemoryOptions{}, false, func(c *Config) {
		store.Store = c.Store
		c.Keyring = auth.NewKeyring(store, auth.KeyringOptions{})
	})
	before := store.asked.Load()
	for range 10 {
		secret := auth.Mint(auth.Live).Reveal()
		last := byte('0')
		if secret[len(secret)-1] == last {
			last = '1'
		}
		r.do(t, "GET", "/v1/stream", secret[:len(secret)-1]+string(last), "").refused(t, "wrong CRC", 401, "invalid-token")
	}
	if n := store.asked.Load() - before; n != 0 {
		t.Errorf("the store was asked %d times", n)
	}
	r.alive(t)
}

func TestAttack05TwoAuthorizationFields(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	r.probe(t, "GET", "", probe{"", []string{"Authorization", "Bearer " + r.a + "\nBearer " + r.b}, 400, "ambiguous-credentials"})
}

func TestAttack06KeyInHeaderAndQuery(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	r.probe(t, "GET", r.a, probe{"/v1/stream?access_token=x", nil, 400, "ambiguous-credentials"},
		probe{"/v1/stream?access_token=", nil, 400, "ambiguous-credentials"})
}

func TestAttack07KeyInQuery(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	for _, name := range []string{"access_token", "api_key", "authorization", "ACCESS_TOKEN", "access%5Ftoken", "a;token"} {
		got := r.do(t, "GET", "/v1/stream?"+name+"="+r.a, "", "")
		got.refused(t, name, 400, "credential-in-url")
		if strings.Contains(got.body, r.a) {
			t.Errorf("%s: the answer repeats the key", name)
		}
	}
	if strings.Contains(r.logs.String(), r.a) {
		t.Error("the key is in the log")
	}
	r.alive(t)
}

func TestAttack08FormsOfAuthorization(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	r.probe(t, "GET", "",
		probe{"", []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(r.a+":"))}, 401, "unauthenticated"},
		probe{"", []string{"Authorization", "Bearer  " + r.a + " "}, 400, "ambiguous-credentials"},
		probe{"", []string{"Authorization", "Bearer " + r.a + ", Bearer " + r.a}, 400, "ambiguous-credentials"},
		probe{"", []string{"Authorization", r.a}, 401, "unauthenticated"},
	)
	if got := r.do(t, "GET", "/v1/me", "", "", "Authorization", "bearer "+r.a); got.status != http.StatusOK {
		t.Errorf("a scheme in lower case: status %d", got.status)
	}
}
