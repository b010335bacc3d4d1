package auth

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// An hour: what is seen earlier is seen by a notice.
func inNoticeBench(t *testing.T, test func(bench)) {
	inBench(t, liveKey, func(b bench) {
		b.ring = NewKeyring(b.store, KeyringOptions{TTL: time.Hour})
		test(b)
	})
}

func (b bench) revoke() Change {
	b.Helper()
	key, err := b.store.Revoke(b.Context(), b.key.ID)
	if err != nil {
		b.Fatal(err)
	}
	return NewChange(KeyRevoked, key, CLI)
}

func (b bench) verifies(want error) {
	b.Helper()
	if key, err := b.ring.Verify(b.Context(), b.key.ID); !errors.Is(err, want) || (key == nil) != (want != nil) {
		b.Errorf("verified: got %+v (%v), want %v", key, err, want)
	}
}

func TestNoticeIsHeardAtOnce(t *testing.T) {
	inNoticeBench(t, func(b bench) {
		b.wants(nil)
		b.verifies(nil)
		notice := b.revoke()
		b.wants(nil) // there was no notice yet
		b.wantsAsked(1)
		b.ring.Apply(notice)
		b.wants(ErrRevoked)
		b.verifies(ErrRevoked)
		b.wantsAsked(2)
	})
}

func TestNoticeOfAnotherKeyForgetsNothing(t *testing.T) {
	inNoticeBench(t, func(b bench) {
		b.wants(nil)
		b.ring.Apply(Change{Action: KeyEdited, Key: "key_other"})
		b.wants(nil)
		b.wantsAsked(1)
	})
}

func TestResetForgetsEverything(t *testing.T) {
	inNoticeBench(t, func(b bench) {
		wrong := Mint(Live).Reveal()
		b.wants(nil)
		b.wantsOf(wrong, ErrUnknown)
		b.revoke()
		b.ring.Reset()
		b.wants(ErrRevoked)
		b.wantsOf(wrong, ErrUnknown)
		b.wantsAsked(4)
	})
}

// One look-up has read the key and is held up; then the key is revoked. It may
// tell what it has read only to callers that began before the notice.
func TestLookupUnderWayAtANoticeIsNotKept(t *testing.T) {
	for _, test := range []struct {
		name string
		call func(b bench) error
		tell func(b bench, c Change)
	}{
		{"by secret, noticed", func(b bench) error { _, _, err := b.ring.Authenticate(b.Context(), b.secret.Reveal()); return err },
			func(b bench, c Change) { b.ring.Apply(c) }},
		{"by id, noticed", func(b bench) error { _, err := b.ring.Verify(b.Context(), b.key.ID); return err },
			func(b bench, c Change) { b.ring.Apply(c) }},
		{"by secret, reset", func(b bench) error { _, _, err := b.ring.Authenticate(b.Context(), b.secret.Reveal()); return err },
			func(b bench, c Change) { b.ring.Reset() }},
		{"by id, reset", func(b bench) error { _, err := b.ring.Verify(b.Context(), b.key.ID); return err },
			func(b bench, c Change) { b.ring.Reset() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			inNoticeBench(t, func(b bench) {
				hold := make(chan struct{})
				b.store.hold = hold
				var before sync.WaitGroup
				before.Go(func() {
					if err := test.call(b); err != nil {
						b.Errorf("who came before the notice got %v", err)
					}
				})
				synctest.Wait()
				b.store.hold = nil
				test.tell(b, b.revoke())
				if err := test.call(b); !errors.Is(err, ErrRevoked) { // while the first is under way
					b.Errorf("who came after the notice got %v, want ErrRevoked", err)
				}
				b.wantsAsked(2)
				close(hold)
				before.Wait()
				b.wants(ErrRevoked)
				b.verifies(ErrRevoked)
			})
		})
	}
}

// As above, but no caller asks before the answer is back.
func TestLookupThatComesBackAfterANoticeIsNotKept(t *testing.T) {
	inNoticeBench(t, func(b bench) {
		hold := make(chan struct{})
		b.store.hold = hold
		var before sync.WaitGroup
		before.Go(func() { b.wants(nil) })
		before.Go(func() { b.verifies(nil) })
		synctest.Wait()
		b.store.hold = nil
		b.ring.Apply(b.revoke())
		close(hold)
		before.Wait()
		b.wants(ErrRevoked)
		b.verifies(ErrRevoked)
	})
}

func TestUnknownSecretIsForgottenAtANotice(t *testing.T) {
	inNoticeBench(t, func(b bench) {
		next := Mint(Live)
		hold := make(chan struct{})
		b.store.hold = hold
		var before sync.WaitGroup
		before.Go(func() { b.wantsOf(next.Reveal(), ErrUnknown) }) // held up with its answer
		synctest.Wait()
		b.store.hold = nil

		_, key, err := Rotate(b.Context(), b.store, b.key.ID, Rotation{Secret: next, Overlap: time.Hour})
		if err != nil {
			b.Fatal(err)
		}
		b.ring.Apply(NewChange(KeyRotated, key, CLI))
		b.wantsOf(next.Reveal(), nil)
		close(hold)
		before.Wait()
		b.wantsOf(next.Reveal(), nil)
		b.wants(nil)
	})
}

func TestUnknownSecretIsAskedForAgainAfterANotice(t *testing.T) {
	inNoticeBench(t, func(b bench) {
		next := Mint(Live)
		b.wantsOf(next.Reveal(), ErrUnknown)
		_, key, err := Rotate(b.Context(), b.store, b.key.ID, Rotation{Secret: next})
		if err != nil {
			b.Fatal(err)
		}
		b.wantsOf(next.Reveal(), ErrUnknown)
		b.ring.Apply(NewChange(KeyRotated, key, CLI))
		b.wantsOf(next.Reveal(), nil)
	})
}

func TestSecretEndsWithTheOverlapOnTheDot(t *testing.T) {
	inNoticeBench(t, func(b bench) {
		next, key, err := Rotate(b.Context(), b.store, b.key.ID, Rotation{Overlap: time.Minute})
		if err != nil {
			b.Fatal(err)
		}
		b.wants(nil)
		b.wantsOf(next.Reveal(), nil)
		time.Sleep(time.Until(key.FormerUntil) - 1)
		b.wants(nil)
		time.Sleep(time.Nanosecond)
		b.wants(ErrExpired) // from the cache
		b.wantsOf(next.Reveal(), nil)
		b.wantsAsked(3) // one of them is the rotation's own
	})
}

func TestOlderLookupDoesNotReplaceALaterRevision(t *testing.T) {
	inNoticeBench(t, func(b bench) {
		hold := make(chan struct{})
		b.store.hold = hold
		var older sync.WaitGroup
		older.Go(func() { b.verifies(nil) }) // has read the first revision
		synctest.Wait()
		b.store.hold = nil
		next, _, err := Rotate(b.Context(), b.store, b.key.ID, Rotation{Overlap: time.Hour})
		if err != nil {
			b.Fatal(err)
		}
		b.wantsOf(next.Reveal(), nil)
		close(hold)
		older.Wait()
		b.wantsOf(next.Reveal(), nil)
	})
}

func TestOlderLookupDoesNotHideARevocation(t *testing.T) {
	inNoticeBench(t, func(b bench) {
		hold := make(chan struct{})
		b.store.hold = hold
		var older sync.WaitGroup
		older.Go(func() { b.verifies(nil) }) // has read the key as it was
		synctest.Wait()
		b.store.hold = nil
		b.revoke() // of which no notice has come
		b.wants(ErrRevoked)
		close(hold)
		older.Wait()
		b.wants(ErrRevoked)
		b.verifies(ErrRevoked)
	})
}

func TestVerifiedKeyOutlivesAnOutageUpToTheLimit(t *testing.T) {
	inBench(t, liveKey, func(b bench) {
		b.verifies(nil)
		b.store.away.Store(true)
		time.Sleep(StaleLimit - 1)
		b.verifies(nil)
		time.Sleep(time.Nanosecond)
		b.verifies(ErrUnavailable)
		b.store.away.Store(false)
		b.verifies(nil)
		b.wantsAsked(4)
	})
}

func TestNoticedKeyIsNotVouchedForDuringAnOutage(t *testing.T) {
	inNoticeBench(t, func(b bench) {
		b.wants(nil)
		notice := b.revoke()
		b.store.away.Store(true)
		b.ring.Apply(notice)
		b.wants(ErrUnavailable)
		b.verifies(ErrUnavailable)
	})
}

func TestVerifyOfNoKeyIsUnknown(t *testing.T) {
	inBench(t, liveKey, func(b bench) {
		for _, id := range []string{"", "key_none"} {
			if key, err := b.ring.Verify(b.Context(), id); !errors.Is(err, ErrUnknown) {
				b.Errorf("verified %q: got %+v (%v), want ErrUnknown", id, key, err)
			}
		}
		if key, err := b.ring.Recognise(b.Context(), Hash{}); !errors.Is(err, ErrUnknown) {
			b.Errorf("recognised nothing: got %+v (%v), want ErrUnknown", key, err)
		}
	})
}

func TestUseIsWrittenOnceAMinuteAndNotByRequests(t *testing.T) {
	inNoticeBench(t, func(b bench) {
		ctx, stop := context.WithCancel(b.Context())
		var recorder sync.WaitGroup
		recorder.Go(func() { b.ring.RecordUse(ctx) })
		lastUsed := func() time.Time {
			b.Helper()
			key, err := b.store.MemoryStore.FindByID(b.Context(), b.key.ID)
			if err != nil {
				b.Fatal(err)
			}
			return key.LastUsed
		}
		for range 100 {
			b.wants(nil)
		}
		time.Sleep(recordUseEvery - time.Second)
		b.verifies(nil)
		used := timestamp()
		b.wantsAsked(1) // nothing was written
		time.Sleep(time.Second)
		synctest.Wait()
		b.wantsAsked(2)
		if got := lastUsed(); !got.Equal(used) {
			b.Errorf("last used at %v, want %v", got, used)
		}
		time.Sleep(3 * recordUseEvery)
		b.wantsAsked(2) // an unused key is not written

		b.wants(nil)
		used = timestamp()
		b.store.away.Store(true)
		time.Sleep(recordUseEvery)
		b.store.away.Store(false)
		stop()
		recorder.Wait()
		if got := lastUsed(); !got.Equal(used) {
			b.Errorf("after an outage and the end, last used at %v, want %v", got, used)
		}
	})
}

func TestRefusedCallIsNoUse(t *testing.T) {
	inBench(t, liveKey, func(b bench) {
		b.revoke()
		b.wants(ErrRevoked)
		b.verifies(ErrRevoked)
		b.wantsOf(Mint(Live).Reveal(), ErrUnknown)
		if len(b.ring.used) != 0 {
			b.Errorf("used are %v, want none", b.ring.used)
		}
	})
}

func TestChangeIsReadAsItWasWritten(t *testing.T) {
	store := &MemoryStore{}
	_, key := issue(t, store, liveKey)
	_, rotated, err := Rotate(t.Context(), store, key.ID, Rotation{Overlap: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	edited := NewChange(KeyEdited, key, "key_admin")
	edited.Fields = []string{"types", "limits"}
	for _, want := range []Change{edited, NewChange(KeyRotated, rotated, CLI), NewChange(KeyRevoked, key, CLI)} {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseChange(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v (%v), want %+v", text, got, err, want)
		}
	}
	later := `{"action":"key.painted","key":"key_1","colour":"red"}`
	if got, err := ParseChange([]byte(later)); err != nil || got.Key != "key_1" {
		t.Errorf("%s: got %+v (%v), want key_1", later, got, err)
	}
	for _, text := range []string{"", "{}", `{"action":"key.edited"}`, `{"key":"key_1"}`, `{"key":1}`, "null"} {
		if c, err := ParseChange([]byte(text)); err == nil {
			t.Errorf("%q: got %+v, want an error", text, c)
		}
	}
}
