package auth

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/filter"
)

func TestDescriptionThatCannotStandNamesItsField(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	many := func(n int) []string { return slices.Repeat([]string{"a"}, n) }
	tests := []struct {
		name  string
		key   Key
		field string // that is refused; empty: the key stands
	}{
		{"a live key", Key{Kind: Live, Merchant: "acme"}, ""},
		{"a test key", Key{Kind: Test, Merchant: "acme"}, ""},
		{"a publisher's key", Key{Kind: Pub}, ""},
		{"an admin's key", Key{Kind: Adm}, ""},
		{"a full live key", Key{Kind: Live, Merchant: "a-1", Name: "Größe 🎟", Clause: filter.Clause{Types: []string{"payment.*"}, Subjects: []string{"event/42/**"}, Filter: "data.amount >= 10000"},
			Scopes: []string{Stream}, Expires: now.Add(time.Hour), Origins: []string{"https://shop.example", "http://[::1]:3000"},
			Limits: policy.Defaults()}, ""},
		{"a full publisher's key", Key{Kind: Pub, Merchants: []string{"acme", "globex"}, Clause: filter.Clause{Types: []string{"seat.*"}}}, ""},

		{"no kind", Key{Merchant: "acme"}, "kind"},
		{"another kind", Key{Kind: "root"}, "kind"},
		{"a live key without a merchant", Key{Kind: Live}, "merchant"},
		{"a test key without a merchant", Key{Kind: Test}, "merchant"},
		{"a publisher's key of a merchant", Key{Kind: Pub, Merchant: "acme"}, "merchant"},
		{"an admin's key of a merchant", Key{Kind: Adm, Merchant: "acme"}, "merchant"},
		{"the control log's name", Key{Kind: Live, Merchant: "_control"}, "merchant"},
		{"a test log's name", Key{Kind: Live, Merchant: "acme.test"}, "merchant"},
		{"upper case", Key{Kind: Live, Merchant: "Acme"}, "merchant"},
		{"a brace", Key{Kind: Live, Merchant: "a{b}"}, "merchant"},
		{"65 characters", Key{Kind: Live, Merchant: strings.Repeat("a", 65)}, "merchant"},
		{"another's merchant to publish to", Key{Kind: Pub, Merchants: []string{"acme", "_control"}}, "merchants"},
		{"a live key that publishes", Key{Kind: Live, Merchant: "acme", Merchants: []string{"acme"}}, "merchants"},
		{"too many merchants", Key{Kind: Pub, Merchants: many(MaxMerchants + 1)}, "merchants"},
		{"a long name", Key{Kind: Adm, Name: strings.Repeat("a", MaxNameLen+1)}, "name"},
		{"a line feed in the name", Key{Kind: Adm, Name: "a\nb"}, "name"},
		{"an escape sequence in the name", Key{Kind: Adm, Name: "\x1b[2J"}, "name"},
		{"text turned around in the name", Key{Kind: Adm, Name: "a\u202eb"}, "name"},
		{"broken UTF-8 in the name", Key{Kind: Adm, Name: "a\xff"}, "name"},
		{"an empty type", Key{Kind: Pub, Clause: filter.Clause{Types: []string{"a", ""}}}, "types"},
		{"a type with a NUL", Key{Kind: Pub, Clause: filter.Clause{Types: []string{"a\x00"}}}, "types"},
		{"a long type", Key{Kind: Pub, Clause: filter.Clause{Types: []string{strings.Repeat("a", MaxTypeLen+1)}}}, "types"},
		{"too many types", Key{Kind: Pub, Clause: filter.Clause{Types: many(filter.MaxTypes + 1)}}, "types"},
		{"an admin's types", Key{Kind: Adm, Clause: filter.Clause{Types: []string{"a"}}}, "types"},
		{"a long subject", Key{Kind: Live, Merchant: "a", Clause: filter.Clause{Subjects: []string{strings.Repeat("a", filter.MaxPattern+1)}}}, "subjects"},
		{"a publisher's subjects", Key{Kind: Pub, Clause: filter.Clause{Subjects: []string{"a"}}}, "subjects"},
		{"a publisher's filter", Key{Kind: Pub, Clause: filter.Clause{Filter: "true"}}, "filter"},
		{"a long filter", Key{Kind: Live, Merchant: "a", Clause: filter.Clause{Filter: strings.Repeat("a", filter.MaxExpr+1)}}, "filter"},
		{"broken UTF-8 in the filter", Key{Kind: Live, Merchant: "a", Clause: filter.Clause{Filter: "\xff"}}, "filter"},
		{"another kind's scope", Key{Kind: Live, Merchant: "a", Scopes: []string{Admin}}, "scopes"},
		{"too many scopes", Key{Kind: Pub, Scopes: slices.Repeat([]string{Me}, 3)}, "scopes"},
		{"an origin with a path", Key{Kind: Live, Merchant: "a", Origins: []string{"https://shop.example/"}}, "origins"},
		{"any origin", Key{Kind: Live, Merchant: "a", Origins: []string{"*"}}, "origins"},
		{"too many origins", Key{Kind: Live, Merchant: "a", Origins: slices.Repeat([]string{"https://a"}, MaxOrigins+1)}, "origins"},
		{"a publisher's origins", Key{Kind: Pub, Origins: []string{"https://a"}}, "origins"},
		{"a limit of 0", Key{Kind: Pub, Limits: policy.Limits{{Name: policy.Publishes, Window: time.Second}}}, "limits.publishes"},
		{"a limit of another name", Key{Kind: Pub, Limits: policy.Limits{{Name: "publish", Quota: 1, Window: time.Second}}}, "limits"},
		{"expired at birth", Key{Kind: Adm, Expires: now}, "expires_at"},
		{"a year of five digits", Key{Kind: Adm, Expires: now.AddDate(8000, 0, 0)}, "expires_at"},
	}
	for _, test := range tests {
		err := test.key.Validate(now)
		var refused *FieldError
		switch {
		case test.field == "" && err != nil:
			t.Errorf("%s: refused: %v", test.name, err)
		case test.field != "" && (!errors.As(err, &refused) || refused.Field != test.field):
			t.Errorf("%s: got %v, want a refusal of %s", test.name, err, test.field)
		}
	}
}

func TestMerchantNamesAreThoseOfThePattern(t *testing.T) {
	pattern := regexp.MustCompile(`\A[a-z0-9-]{1,64}\z`)
	names := rapid.OneOf(
		rapid.String(),
		rapid.StringMatching(`[a-z0-9-]{0,66}`),
		rapid.StringMatching(`[a-z0-9-]{1,8}[A-Z_.{}/ \n]?`),
	)
	rapid.Check(t, func(t *rapid.T) {
		name := names.Draw(t, "name")
		if got, want := ValidMerchant(name), pattern.MatchString(name); got != want {
			t.Fatalf("%q: got %t, want %t", name, got, want)
		}
	})
}
