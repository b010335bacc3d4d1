package keys

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit/policy"
)

// A Patch describes a change of a key: the members of a [View] to change, by name. A
// null resets a member to its value in a new key (JSON Merge Patch, RFC 7396). For a
// new key the patch is the whole description.
type Patch map[string]json.RawMessage

// Set adds a member to the patch.
func (p Patch) Set(name string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic("keys: a member that is no JSON: " + err.Error())
	}
	p[name] = text
}

// apply changes a key. An invalid member is a [*auth.FieldError].
func (p Patch) apply(k *auth.Key) error {
	members := map[string]func(json.RawMessage) error{
		"kind":       into(&k.Kind, "must be live, test, pub or adm"),
		"merchant":   into(&k.Merchant, "must be a string"),
		"merchants":  into(&k.Merchants, "must be an array of strings"),
		"name":       into(&k.Name, "must be a string"),
		"types":      into(&k.Types, "must be an array of strings"),
		"subjects":   into(&k.Subjects, "must be an array of strings"),
		"filter":     into(&k.Filter, "must be a string"),
		"scopes":     into(&k.Scopes, "must be an array of strings"),
		"origins":    into(&k.Origins, "must be an array of strings"),
		"expires_at": into(&k.Expires, "must be a time (RFC 3339), or null"),
		"limits":     func(value json.RawMessage) error { return setLimits(k, value) },
	}
	for _, name := range slices.Sorted(maps.Keys(p)) {
		set := members[name]
		if set == nil {
			return &auth.FieldError{Field: name, Reason: "is not a member that can be set"}
		}
		err := set(p[name])
		var field *auth.FieldError
		var limit *policy.Error
		switch {
		case errors.As(err, &field):
			return field
		case errors.As(err, &limit):
			return &auth.FieldError{Field: limit.Field(), Reason: limit.Reason}
		case err != nil:
			return &auth.FieldError{Field: name, Reason: err.Error()}
		}
	}
	return nil
}

// into returns a function that reads a member into target.
func into[T any](target *T, must string) func(json.RawMessage) error {
	return func(value json.RawMessage) error {
		var read T
		if err := json.Unmarshal(value, &read); err != nil {
			return errors.New(must)
		}
		*target = read
		return nil
	}
}

// setLimits merges an object of quotas into those of a key: numbers, or texts like
// "60/m". A null gives the server's limit back to the key.
func setLimits(k *auth.Key, value json.RawMessage) error {
	var quotas map[string]json.RawMessage
	if err := json.Unmarshal(value, &quotas); err != nil {
		return errors.New("must be an object of quotas, such as " + `{"streams":50,"connects":"60/m"}`)
	}
	if quotas == nil { // null
		k.Limits = nil
	}
	for _, name := range slices.Sorted(maps.Keys(quotas)) {
		raw := quotas[name]
		if string(raw) == "null" {
			k.Limits = k.Limits.Without(name)
			continue
		}
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(raw) // a number, or what ParseValue rejects
		}
		limit, err := policy.ParseValue(name, text)
		if err != nil {
			return err
		}
		k.Limits = k.Limits.With(limit)
	}
	return nil
}

// Check returns a [*auth.FieldError] if no key can be made from the patch at this
// time. It asks no store.
func (p Patch) Check(now time.Time) error {
	var k auth.Key
	if err := p.apply(&k); err != nil {
		return err
	}
	return k.Validate(now)
}
