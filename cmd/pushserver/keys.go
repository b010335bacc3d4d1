package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/paylogic/pushserver/api/keys"
	"github.com/paylogic/pushserver/auth"
)

type keysCommand struct {
	Create keysCreateCommand `cmd:"" help:"Create a key. Its secret is shown once."`
	List   keysListCommand   `cmd:"" help:"List all keys, oldest first."`
	Show   keysShowCommand   `cmd:"" help:"Show one key."`
	Edit   keysEditCommand   `cmd:"" help:"Change what a key may do. Open streams follow."`
	Rotate keysRotateCommand `cmd:"" help:"Give a key a new secret, which is shown once."`
	Revoke keysRevokeCommand `cmd:"" help:"Revoke a key permanently."`
	Audit  keysAuditCommand  `cmd:"" help:"Print who changed which key, and when."`
}

// keyFlags describe a key.
type keyFlags struct {
	Merchants []string `help:"Merchants a publisher's key may publish to; all if not given." placeholder:"NAME"`
	Name      string   `help:"A human-readable name."`
	Types     []string `help:"Types that the key sees, or may publish, such as payment.*; all if not given." placeholder:"TYPE"`
	Subjects  []string `help:"Subjects that the key sees, such as event/42/*; all if not given." placeholder:"SUBJECT"`
	Filter    string   `help:"Expression (CEL) over the events that the key sees." placeholder:"EXPR"`
	Scopes    []string `help:"What the key may do, within its kind; all if not given." placeholder:"SCOPE"`
	Origins   []string `help:"Origins of pages that may use the key's tokens, such as https://shop.example; any if not given." placeholder:"ORIGIN"`
	Limits    []string `help:"Limits of this key, such as streams=50,connects=60/m; the server's if not given." placeholder:"NAME=LIMIT"`
	Expires   string   `help:"When the key expires: after a duration (720h, 30d) or at a time (RFC 3339)." placeholder:"WHEN"`
}

// patch returns what the flags say.
func (f *keyFlags) patch(now time.Time) (keys.Patch, error) {
	p := make(keys.Patch)
	for name, list := range map[string][]string{
		"merchants": f.Merchants, "types": f.Types, "subjects": f.Subjects, "scopes": f.Scopes, "origins": f.Origins,
	} {
		if len(list) > 0 {
			p.Set(name, list)
		}
	}
	for name, text := range map[string]string{"name": f.Name, "filter": f.Filter} {
		if text != "" {
			p.Set(name, text)
		}
	}
	if len(f.Limits) > 0 {
		limits, err := parseLimits(f.Limits)
		if err != nil {
			return nil, err
		}
		p.Set("limits", limits)
	}
	if f.Expires != "" {
		expires, err := parseExpiry(f.Expires, now)
		if err != nil {
			return nil, err
		}
		p.Set("expires_at", expires)
	}
	return p, nil
}

type keysCreateCommand struct {
	Registry registryFlags `embed:""`
	Kind     string        `help:"What the key is for: ${enum}." enum:"live,test,pub,adm" required:""`
	Merchant string        `help:"Whose events a live or test key receives." placeholder:"NAME"`
	Is       keyFlags      `embed:""`
	JSON     bool          `name:"json" help:"Print JSON."`
}

// Run creates the key and prints its secret. It checks the whole description
// before it contacts a store.
func (k *keysCreateCommand) Run(ctx context.Context, c *console) error {
	now := time.Now()
	description, err := k.Is.patch(now)
	if err != nil {
		return err
	}
	description.Set("kind", k.Kind)
	if k.Merchant != "" {
		description.Set("merchant", k.Merchant)
	}
	if err := description.Check(now); err != nil {
		return flagError(err)
	}
	return k.Registry.use(ctx, c, func(ctx context.Context, r registry) error {
		made, err := r.Create(ctx, description)
		if err != nil {
			return err
		}
		return printSecret(c, made, k.JSON)
	})
}

// printSecret prints a key that has just got its secret.
func printSecret(c *console, v keys.View, asJSON bool) error {
	if asJSON {
		return printJSON(c.out, v)
	}
	if v.Warning != "" {
		complain(c.err, errors.New(v.Warning))
	}
	_, err := fmt.Fprintf(c.out, "%s\n%s\nThe key is shown only this once: save it now.\n", v.ID, v.Key)
	return err
}

// flagError names the flag in an error about a member of a key.
func flagError(err error) error {
	var field *auth.FieldError
	if !errors.As(err, &field) {
		return err
	}
	name, rest, _ := strings.Cut(field.Field, ".")
	if name == "expires_at" {
		name = "expires"
	}
	if rest != "" {
		rest = ": " + rest
	}
	return fmt.Errorf("--%s%s %s", name, rest, field.Reason)
}

// parseExpiry reads a time or a duration from now.
func parseExpiry(text string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	wait, err := parseWait(text)
	if err != nil || wait <= 0 {
		return time.Time{}, fmt.Errorf("--expires %q: must be a duration from now, such as 720h or 30d, or a time, such as %s",
			text, now.Add(720*time.Hour).UTC().Format(time.RFC3339))
	}
	return now.Add(wait), nil
}

// parseWait reads a duration, also in days: "30d".
func parseWait(text string) (time.Duration, error) {
	days, ok := strings.CutSuffix(text, "d")
	if !ok {
		return time.ParseDuration(text)
	}
	n, err := strconv.Atoi(days)
	if err != nil || n > 36_500 { // a century; far more would overflow
		return 0, cmp.Or(err, strconv.ErrRange)
	}
	return time.Duration(n) * 24 * time.Hour, nil
}

type keysListCommand struct {
	Registry registryFlags `embed:""`
	JSON     bool          `name:"json" help:"Print JSON."`
}

// Run lists the keys without their secrets: only hashes are stored.
func (k *keysListCommand) Run(ctx context.Context, c *console) error {
	return k.Registry.use(ctx, c, func(ctx context.Context, r registry) error {
		all := []keys.View{}
		for after := ""; ; {
			page, err := r.List(ctx, after, auth.MaxPage)
			if err != nil {
				return err
			}
			all = append(all, page...)
			if len(page) < auth.MaxPage {
				break
			}
			after = page[len(page)-1].ID
		}
		if k.JSON {
			return printJSON(c.out, all)
		}
		return printKeys(c.out, all)
	})
}

func printKeys(w io.Writer, views []keys.View) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tKIND\tMERCHANT\tNAME\tCREATED\tLAST USED\tSTATE")
	for _, v := range views {
		used := "-"
		if !v.LastUsed.IsZero() {
			used = v.LastUsed.Format(time.RFC3339)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			v.ID, v.Kind, v.Merchant, v.Name, v.Created.Format(time.RFC3339), used, stateOf(v))
	}
	return table.Flush()
}

func stateOf(v keys.View) string {
	switch {
	case !v.Revoked.IsZero():
		return "revoked " + v.Revoked.Format(time.RFC3339)
	case v.Expires.IsZero():
		return "usable"
	case v.Expires.Before(time.Now()):
		return "expired " + v.Expires.Format(time.RFC3339)
	}
	return "until " + v.Expires.Format(time.RFC3339)
}

// keyArgument names a key.
type keyArgument struct {
	ID string `arg:"" help:"The key's id, as in keys list."`
}

// Validate is called by kong after parsing.
func (k *keyArgument) Validate() error {
	if _, err := auth.ParseSecret(k.ID); err == nil {
		return errors.New("this is a key; pass its id instead (see keys list)")
	}
	return nil
}

type keysShowCommand struct {
	Registry registryFlags `embed:""`
	Key      keyArgument   `embed:""`
}

// Run prints the key in JSON, indented.
func (k *keysShowCommand) Run(ctx context.Context, c *console) error {
	return k.Registry.use(ctx, c, func(ctx context.Context, r registry) error {
		v, err := r.Find(ctx, k.Key.ID)
		if err != nil {
			return err
		}
		encoder := json.NewEncoder(c.out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(v)
	})
}

type keysEditCommand struct {
	Registry registryFlags `embed:""`
	Key      keyArgument   `embed:""`
	Is       keyFlags      `embed:""`
	Unset    []string      `help:"Resets this setting to its default: ${enum}." enum:"merchants,name,types,subjects,filter,scopes,origins,limits,expires" placeholder:"FLAG"`
	JSON     bool          `name:"json" help:"Print JSON."`
}

// Run edits the key.
func (k *keysEditCommand) Run(ctx context.Context, c *console) error {
	patch, err := k.Is.patch(time.Now())
	if err != nil {
		return err
	}
	for _, name := range k.Unset {
		if name == "expires" {
			name = "expires_at"
		}
		if patch[name] != nil {
			return fmt.Errorf("--unset %s contradicts another flag", name)
		}
		patch.Set(name, nil)
	}
	if len(patch) == 0 {
		return errors.New("nothing to change: use flags such as --types, or --unset")
	}
	return k.Registry.use(ctx, c, func(ctx context.Context, r registry) error {
		v, err := r.Edit(ctx, k.Key.ID, patch)
		if err != nil {
			return err
		}
		if k.JSON {
			return printJSON(c.out, v)
		}
		_, err = fmt.Fprintf(c.out, "%s is at revision %d\n", v.ID, v.Revision)
		return err
	})
}

type keysRotateCommand struct {
	Registry registryFlags `embed:""`
	Key      keyArgument   `embed:""`
	Overlap  string        `help:"How long the current secret keeps working, such as 24h or 7d; 0: it ends at once, with all tokens." required:"" placeholder:"TIME"`
	JSON     bool          `name:"json" help:"Print JSON."`
}

// Run rotates the key and prints its new secret.
func (k *keysRotateCommand) Run(ctx context.Context, c *console) error {
	overlap, err := parseWait(k.Overlap)
	if err != nil || overlap < 0 || overlap > auth.MaxOverlap || overlap%time.Second != 0 {
		return fmt.Errorf("--overlap %q: must be whole seconds up to 30 days, such as 24h or 7d, or 0", k.Overlap)
	}
	return k.Registry.use(ctx, c, func(ctx context.Context, r registry) error {
		v, err := r.Rotate(ctx, k.Key.ID, overlap)
		if err != nil {
			return err
		}
		return printSecret(c, v, k.JSON)
	})
}

type keysRevokeCommand struct {
	Registry registryFlags `embed:""`
	Key      keyArgument   `embed:""`
	JSON     bool          `name:"json" help:"Print JSON."`
}

// Run revokes the key. Repeating is safe.
func (k *keysRevokeCommand) Run(ctx context.Context, c *console) error {
	return k.Registry.use(ctx, c, func(ctx context.Context, r registry) error {
		v, err := r.Revoke(ctx, k.Key.ID)
		if err != nil {
			return err
		}
		if k.JSON {
			return printJSON(c.out, v)
		}
		_, err = fmt.Fprintf(c.out, "%s is revoked since %s\n", v.ID, v.Revoked.Format(time.RFC3339))
		return err
	})
}

// printJSON writes v on one line and leaves < and > as they are: filters use them.
func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
