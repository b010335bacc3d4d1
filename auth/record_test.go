package auth

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/filter"
)

// anyKey draws a key that stands, with the id given.
func anyKey(t *rapid.T, id string) *Key {
	names := rapid.SampledFrom([]string{"acme", "globex", "initech", "a", "z-9"})
	types := rapid.SliceOfN(rapid.StringMatching(`[a-z<&"é/.]{1,8}\*?`), 0, 3)
	subjects := rapid.SliceOfN(rapid.StringMatching(`[a-z<&"é/.*]{1,9}`), 0, 3)
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	key := &Key{
		ID:      id,
		Kind:    anyKind(t),
		Name:    rapid.StringMatching(`[ -~äß]{0,20}`).Draw(t, "name"),
		Created: start.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "created")) * time.Millisecond),

		Revision: rapid.Int64Range(1, 1<<40).Draw(t, "revision"),
	}
	key.secret = Mint(key.Kind).Hash()
	if rapid.Bool().Draw(t, "rotated") {
		key.former, key.FormerUntil = Mint(key.Kind).Hash(), start
	}
	if rapid.Bool().Draw(t, "expires") {
		key.Expires = start.Add(time.Hour + time.Millisecond)
	}
	switch {
	case key.Kind.Reads():
		key.Merchant = names.Draw(t, "merchant")
		key.Types = types.Draw(t, "types")
		key.Subjects = subjects.Draw(t, "subjects")
		key.Origins = rapid.SliceOfN(rapid.SampledFrom([]string{"https://shop.example", "http://[::1]:3000"}), 0, 3).Draw(t, "origins")
		key.Filter = rapid.SampledFrom([]string{"", `data.a > 1 && subject != "x\ny"`}).Draw(t, "filter")
	case key.Kind == Pub:
		key.Types = types.Draw(t, "types")
		key.Merchants = rapid.SliceOfN(names, 0, 3).Draw(t, "merchants")
	}
	for _, limit := range rapid.SliceOfNDistinct(rapid.SampledFrom(policy.Largest()), 0, 4, func(p policy.Policy) string { return p.Name }).Draw(t, "limits") {
		key.Limits = key.Limits.With(limit)
	}
	key.Scopes = rapid.SampledFrom([][]string{nil, {Me}}).Draw(t, "scopes")
	if err := key.Validate(start); err != nil {
		t.Fatalf("drew a key that does not stand: %v", err)
	}
	return key
}

// sameKey treats a list without values as no list, as records do.
func sameKey(a, b *Key) bool {
	a, b = a.clone(), b.clone()
	for _, k := range []*Key{a, b} {
		for _, list := range []*[]string{&k.Types, &k.Subjects, &k.Merchants, &k.Scopes, &k.Origins} {
			if len(*list) == 0 {
				*list = nil
			}
		}
		if len(k.Limits) == 0 {
			k.Limits = nil
		}
	}
	return reflect.DeepEqual(a, b)
}

func TestRecordKeepsAllOfAKeyButItsRevocationAndItsUse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyKey(t, "key_1")
		text, err := encodeRecord(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeRecord(string(text))
		if err != nil || !sameKey(got, want) {
			t.Fatalf("%s\ngot  %+v (%v)\nwant %+v", text, got, err, want)
		}
	})
}

func TestEveryFieldOfAKeyIsInItsRecord(t *testing.T) {
	key, rec := reflect.TypeFor[Key](), reflect.TypeFor[record]()
	for i := range key.NumField() {
		name := key.Field(i).Name
		name = strings.ToUpper(name[:1]) + name[1:]
		if _, ok := rec.FieldByName(name); !ok && name != "Revoked" && name != "LastUsed" {
			t.Errorf("Key.%s would be lost at rest", name)
		}
	}
}

func TestRecordOfALaterVersion(t *testing.T) {
	secret := Mint(Live).Hash().String()
	tests := []struct{ name, record, refusal string }{
		{"with a label of its own",
			`{"v":1,"id":"key_1","kind":"live","merchant":"acme","colour":{"a":[1]},"created":"2026-11-23T12:00:00Z","secret":"` + secret + `"}`, ""},
		{"with a restriction of its own",
			`{"v":3,"id":"key_1","kind":"live","merchant":"acme","created":"2026-11-23T12:00:00Z","secret":"` + secret + `"}`, "version 3"},
		{"with a kind of its own",
			`{"v":1,"id":"key_1","kind":"root","created":"2026-11-23T12:00:00Z","secret":"` + secret + `"}`, `kind "root"`},
		{"without a version", `{"id":"key_1","kind":"adm","created":"2026-11-23T12:00:00Z","secret":"` + secret + `"}`, "version 0"},
		{"without an id", `{"v":1,"kind":"adm"}`, "no id"},
		{"with a limit of its own",
			`{"v":2,"id":"key_1","kind":"adm","limits":{"colours":"5"},"secret":"` + secret + `"}`, "limits must be among"},
		{"without a secret", `{"v":1,"id":"key_1","kind":"adm"}`, "no secret"},
		{"with half a secret", `{"v":1,"id":"key_1","kind":"adm","secret":"` + secret[1:] + `"}`, "another length"},
		{"without its merchant", `{"v":1,"id":"key_1","kind":"test"}`, "no merchant"},
		{"cut short", `{"v":1,"id":"key_1"`, "decode"},
	}
	for _, test := range tests {
		key, err := decodeRecord(test.record)
		switch {
		case test.refusal == "" && (err != nil || key.ID != "key_1"):
			t.Errorf("a record %s: got %+v (%v), want key_1", test.name, key, err)
		case test.refusal != "" && (err == nil || !strings.Contains(err.Error(), test.refusal)):
			t.Errorf("a record %s: got %v, want an error with %q", test.name, err, test.refusal)
		}
	}
}

// A gateway of version 1 would skip what came with version 2.
func TestRestrictionOfVersion2RaisesTheVersion(t *testing.T) {
	tests := []struct {
		name string
		key  Key
		want int
	}{
		{"what version 1 knows", Key{Clause: filter.Clause{Types: []string{"a"}}, Expires: time.Now()}, 1},
		{"a later revision", Key{Revision: 7}, 1},
		{"origins", Key{Origins: []string{"https://shop.example"}}, 2},
		{"limits", Key{Limits: policy.Limits{{Name: policy.Streams, Quota: 1}}}, 2},
		{"a secret that ends", Key{former: Mint(Adm).Hash(), FormerUntil: time.Now()}, 2},
	}
	for _, test := range tests {
		test.key.ID, test.key.Kind, test.key.secret = "key_1", Adm, Mint(Adm).Hash()
		text, err := encodeRecord(&test.key)
		var got record
		if err == nil {
			err = json.Unmarshal(text, &got)
		}
		if err != nil || got.Version != test.want {
			t.Errorf("%s: version %d (%v), want %d", test.name, got.Version, err, test.want)
		}
	}
}

// Records that an earlier version wrote are read, limits of an hour and a day
// included, and are written as they were.
func TestRecordWithLimitsKeepsItsText(t *testing.T) {
	old := `{"v":2,"id":"key_1","kind":"pub","created":"2026-11-23T12:00:00Z","rev":3,"secret":"` + Mint(Pub).Hash().String() +
		`","limits":{"connects":"60/m","publishes":"1000/h","streams":"50","tokens":"7/d"}}`
	key, err := decodeRecord(old)
	if err != nil {
		t.Fatal(err)
	}
	want, err := policy.Parse("streams=50,connects=60/m,publishes=1000/h,tokens=7/d")
	if err != nil || !slices.Equal(key.Limits, want) {
		t.Errorf("its limits are %v (%v), want %v", key.Limits, err, want)
	}
	if text, err := encodeRecord(key); err != nil || string(text) != old {
		t.Errorf("written as %s (%v), want %s", text, err, old)
	}
}

// Stores are full of records in this form, and a change of a record is found by
// comparing texts.
func TestTextOfARecord(t *testing.T) {
	key := &Key{
		ID: "key_1", Kind: Live, Merchant: "acme", Name: "till",
		Scopes: []string{Stream}, Origins: []string{shop}, Limits: policy.Limits{{Name: policy.Streams, Quota: 5}},
		Created: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Revision: 2,
		secret: Hash{1}, former: Hash{2}, FormerUntil: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC),
	}
	key.Types, key.Subjects, key.Filter = []string{"payment.*"}, []string{"event/42/*"}, "data.n > 1"
	want := `{"v":2,"id":"key_1","kind":"live","merchant":"acme","name":"till",` +
		`"types":["payment.*"],"subjects":["event/42/*"],"filter":"data.n \u003e 1","scopes":["stream"],` +
		`"created":"2026-11-23T12:00:00Z","rev":2,"secret":"01` + strings.Repeat("0", 62) + `",` +
		`"origins":["` + shop + `"],"limits":{"streams":"5"},"former":"02` + strings.Repeat("0", 62) + `","former_until":"2026-11-24T12:00:00Z"}`
	if got, err := encodeRecord(key); err != nil || string(got) != want {
		t.Errorf("got  %s (%v)\nwant %s", got, err, want)
	}
	pub := &Key{ID: "key_2", Kind: Pub, Merchants: []string{"acme"}, Revision: 1, secret: Hash{1}}
	want = `{"v":1,"id":"key_2","kind":"pub","merchants":["acme"],"created":"0001-01-01T00:00:00Z","rev":1,"secret":"01` + strings.Repeat("0", 62) + `"}`
	if got, err := encodeRecord(pub); err != nil || string(got) != want {
		t.Errorf("got  %s (%v)\nwant %s", got, err, want)
	}
}
