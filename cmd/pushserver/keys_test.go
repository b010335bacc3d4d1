package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/paylogic/pushserver/api/keys"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/internal/redistest"
)

// The commands do the same with --url and with --redis.
func TestKeysCommands(t *testing.T) {
	intro := beginDev(t)
	redis := redistest.StartStandalone(t).Addr()
	for name, where := range map[string][]string{
		"url":   {"--url", intro.URL, "--key", intro.AdminKey},
		"redis": {"--redis", redis, "--durability", "best-effort"},
	} {
		t.Run(name, func(t *testing.T) {
			do := func(command string, args ...string) string {
				t.Helper()
				code, out, errs := execute(t, "", append(append([]string{"keys", command}, where...), args...)...)
				if code != exitOK {
					t.Fatalf("keys %s %v ended with %d and said %q", command, args, code, errs)
				}
				return out
			}
			refuse := func(says, command string, args ...string) {
				t.Helper()
				code, out, errs := execute(t, "", append(append([]string{"keys", command}, where...), args...)...)
				if code == exitOK || out != "" || !strings.Contains(errs, says) || strings.Count(errs, "\n") != 1 {
					t.Errorf("keys %s %v ended with %d, printed %q and said %q, want one line with %q", command, args, code, out, errs, says)
				}
			}
			read := func(out string) (v keys.View) {
				t.Helper()
				if err := json.Unmarshal([]byte(out), &v); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				return v
			}

			made := read(do("create", "--json", "--kind", "live", "--merchant", "shop-1", "--types", "payment.*,ticket.*",
				"--limits", "streams=5,connects=30/m", "--origins", "https://shop.example", "--scopes", "stream,me"))
			if _, err := auth.ParseSecret(made.Key); err != nil || made.Merchant != "shop-1" || made.Limits.String() != "streams=5,connects=30/m" {
				t.Errorf("made %+v", made)
			}
			if list := do("list"); !strings.Contains(list, made.ID) || strings.Contains(list, made.Key) {
				t.Errorf("listed as %s", list)
			}
			do("edit", made.ID, "--name", "till 7", "--unset", "limits,scopes")
			if v := read(do("show", made.ID)); v.Name != "till 7" || len(v.Limits) > 0 || v.Key != "" || v.Revision != 2 || len(v.Scopes) < 3 {
				t.Errorf("edited to %+v", v)
			}
			rotated := read(do("rotate", made.ID, "--overlap", "1d", "--json"))
			if rotated.Key == "" || rotated.Key == made.Key || rotated.FormerUntil.IsZero() {
				t.Errorf("rotated to %+v", rotated)
			}
			refuse("still works", "rotate", made.ID, "--overlap", "1h")
			refuse("limits", "edit", made.ID, "--limits", "streams=0")
			refuse("--unset", "edit", made.ID, "--name", "x", "--unset", "name")
			refuse("nothing to change", "edit", made.ID)
			do("revoke", made.ID)
			do("revoke", made.ID)
			refuse("revoked", "edit", made.ID, "--name", "x")
			refuse(map[string]string{"url": "No key has this id", "redis": "no key has this id"}[name], "show", "key_nobody")
			audit := do("audit")
			for _, want := range []string{"key.created " + made.ID, "fields=name,scopes,limits", "key.rotated", "key.revoked", "by="} {
				if !strings.Contains(audit, want) {
					t.Errorf("the audit has no %q:\n%s", want, audit)
				}
			}
			if strings.Contains(audit, made.Key) || strings.Contains(audit, rotated.Key) {
				t.Error("a secret stands in the audit")
			}
		})
	}
	code, _, errs := execute(t, "", "merchants", "create", "--redis", redis, "--durability", "best-effort", "box-office")
	if code != exitOK {
		t.Errorf("merchants create said %q", errs)
	}
	if _, out, _ := execute(t, "", "merchants", "list", "--redis", redis); out != "box-office\nshop-1\n" {
		t.Errorf("merchants list printed %q", out)
	}
}
