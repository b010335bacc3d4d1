package keys

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/auth"
)

// A deafLog takes nothing when it is deaf.
type deafLog struct {
	*eventlog.MemoryLog
	deaf bool
}

func (l *deafLog) Append(ctx context.Context, log string, events []eventlog.Event) ([]eventlog.Receipt, error) {
	if l.deaf {
		return nil, eventlog.ErrUnavailable
	}
	return l.MemoryLog.Append(ctx, log, events)
}

func newRegistry() (Registry, *deafLog) {
	log := &deafLog{MemoryLog: eventlog.NewMemoryLog(eventlog.MemoryOptions{})}
	return Registry{Store: new(auth.MemoryStore), Log: log, By: "key_admin"}, log
}

func described(text string) Patch {
	return Patch{"kind": []byte(`"live"`), "merchant": []byte(`"acme"`), "name": []byte(`"` + text + `"`)}
}

// A secret that was made is not lost because others could not be told.
func TestSecretIsShownAlthoughNobodyCouldBeTold(t *testing.T) {
	r, log := newRegistry()
	log.deaf = true
	made, err := r.Create(t.Context(), described("till"))
	if err != nil || made.Key == "" || made.Warning == "" {
		t.Fatalf("made %+v, %v", made, err)
	}
	rotated, err := r.Rotate(t.Context(), made.ID, time.Hour)
	if err != nil || rotated.Key == "" || rotated.Key == made.Key || rotated.Warning == "" {
		t.Errorf("rotated to %+v, %v", rotated, err)
	}
	if _, err := r.Edit(t.Context(), made.ID, 0, Patch{"name": []byte(`"x"`)}); !errors.Is(err, ErrNotTold) {
		t.Errorf("an edit that could not be announced ends with %v", err)
	}
	if _, err := r.Revoke(t.Context(), made.ID); !errors.Is(err, ErrNotTold) {
		t.Errorf("a revocation that could not be announced ends with %v", err)
	}
	log.deaf = false
	if v, err := r.Revoke(t.Context(), made.ID); err != nil || v.Revoked.IsZero() {
		t.Errorf("asked for again it ends with %+v, %v", v, err)
	}
	page, err := r.Audit(t.Context(), eventlog.ID{}, 10)
	if err != nil || len(page.Changes) != 1 || page.Changes[0].Action != auth.KeyRevoked {
		t.Errorf("the audit is %+v, %v", page, err)
	}
}

// The same change asked for twice is told once.
func TestChangeIsToldOnce(t *testing.T) {
	r, _ := newRegistry()
	made, err := r.Create(t.Context(), described("till"))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := r.Revoke(t.Context(), made.ID); err != nil {
			t.Fatal(err)
		}
	}
	page, err := r.Audit(t.Context(), eventlog.ID{}, 10)
	if err != nil || len(page.Changes) != 2 || page.More || page.Trimmed {
		t.Errorf("the audit is %+v, %v", page, err)
	}
	rest, err := r.Audit(t.Context(), page.Changes[0].Position, 10)
	if err != nil || len(rest.Changes) != 1 || rest.Changes[0].By != "key_admin" {
		t.Errorf("after the first change the audit is %+v, %v", rest, err)
	}
}

func TestPatchRefusesByTheMembersName(t *testing.T) {
	now := time.Now()
	for member, value := range map[string]string{
		"kind": `7`, "merchants": `"acme"`, "limits": `{"streams":"many"}`, "expires_at": `"soon"`, "filter": `"data.("`, "color": `"red"`,
	} {
		p := described("till")
		p[member] = []byte(value)
		var field *auth.FieldError
		if err := p.Check(now); !errors.As(err, &field) || !strings.HasPrefix(field.Field, member) {
			t.Errorf("%s: %s is refused with %v", member, value, err)
		}
	}
	if err := described("till").Check(now); err != nil {
		t.Error(err)
	}
}

// An edit that is refused changes nothing, and limits are merged.
func TestEditIsWholeOrNothing(t *testing.T) {
	r, _ := newRegistry()
	description := described("till")
	description["filter"] = []byte(`"data.n > 1"`)
	description["limits"] = []byte(`{"streams":5,"connects":"30/m"}`)
	made, err := r.Create(t.Context(), description)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Patch{
		{"filter": []byte("null"), "name": []byte("5")},
		{"filter": []byte(`"data.("`)},
		{"limits": []byte(`{"streams":500000000}`)},
		{"limits": []byte(`{"beers":1}`)},
	} {
		if _, err := r.Edit(t.Context(), made.ID, 0, p); err == nil {
			t.Errorf("%s was taken", p)
		}
	}
	if v, err := r.Find(t.Context(), made.ID); err != nil || v.Revision != 1 || v.Filter != made.Filter || v.Limits.String() != made.Limits.String() {
		t.Errorf("refused edits have left %+v, %v", v, err)
	}
	v, err := r.Edit(t.Context(), made.ID, 1, Patch{"limits": []byte(`{"streams":null,"filters":3}`)})
	if err != nil || v.Limits.String() != "connects=30/m,filters=3" {
		t.Errorf("merged to %s, %v", v.Limits, err)
	}
	if v, err = r.Edit(t.Context(), made.ID, 2, Patch{"limits": []byte("null")}); err != nil || len(v.Limits) != 0 {
		t.Errorf("taken back to %s, %v", v.Limits, err)
	}
}
