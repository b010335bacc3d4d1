package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams/filter"
)

// keysLimit is how long a command about keys may take in all.
const keysLimit = 15 * time.Second

type keysCommand struct {
	Create keysCreateCommand `cmd:"" help:"Make a key. Its secret is shown once."`
	List   keysListCommand   `cmd:"" help:"List all keys, oldest first."`
	Revoke keysRevokeCommand `cmd:"" help:"Take a key back, for good."`
}

type keysCreateCommand struct {
	Redis     redisFlags `embed:""`
	Kind      string     `help:"What the key is for: ${enum}." enum:"live,test,pub,adm" required:""`
	Merchant  string     `help:"Whose events a live or test key receives." placeholder:"NAME"`
	Merchants []string   `help:"To whom a publisher's key may publish; all if not given." placeholder:"NAME"`
	Name      string     `help:"A name for people."`
	Types     []string   `help:"Types that the key sees, or may publish, such as payment.*; all if not given." placeholder:"TYPE"`
	Subjects  []string   `help:"Subjects that the key sees, such as event/42/*; all if not given." placeholder:"SUBJECT"`
	Filter    string     `help:"Expression (CEL) over the events that the key sees." placeholder:"EXPR"`
	Expires   string     `help:"When the key ends: from now (720h, 30d) or at a time (RFC 3339)." placeholder:"WHEN"`
	JSON      bool       `name:"json" help:"Print JSON."`
}

// Run makes the key and prints its secret.
func (k *keysCreateCommand) Run(ctx context.Context, c *console) error {
	now := time.Now()
	description, err := k.describe(now)
	if err != nil {
		return err
	}
	return withStore(ctx, &k.Redis, c, func(ctx context.Context, store auth.Store) error {
		secret, key, err := auth.Issue(ctx, store, description)
		if err != nil {
			return flagError(err)
		}
		view := viewKey(key)
		view.Key = secret.Reveal()
		if k.JSON {
			return printJSON(c.out, view)
		}
		_, err = fmt.Fprintf(c.out, "%s\n%s\nThis is the key's only showing: keep it now.\n", view.ID, view.Key)
		return err
	})
}

// describe returns the key that was asked for, or which flag cannot stand. All
// of it is checked before anything is stored.
func (k *keysCreateCommand) describe(now time.Time) (auth.Key, error) {
	key := auth.Key{
		Kind: auth.Kind(k.Kind), Merchant: k.Merchant, Merchants: k.Merchants, Name: k.Name,
		Types: k.Types, Subjects: k.Subjects, Filter: k.Filter,
	}
	if k.Expires != "" {
		expires, err := parseExpiry(k.Expires, now)
		if err != nil {
			return key, err
		}
		key.Expires = expires
	}
	if err := key.Validate(now); err != nil {
		return key, flagError(err)
	}
	if _, err := filter.Compile(filter.Spec{Types: k.Types, Subjects: k.Subjects, Expr: k.Filter}); err != nil {
		return key, flagError(err)
	}
	return key, nil
}

// flagError names the flag in what auth and filter say about a field.
func flagError(err error) error {
	var field *auth.FieldError
	if errors.As(err, &field) {
		return fmt.Errorf("--%s %s", field.Field, field.Reason)
	}
	var clause *filter.Error
	if errors.As(err, &clause) {
		flag := clause.Part
		if flag == filter.PartSubject {
			flag = "subjects"
		}
		return fmt.Errorf("--%s: %s", flag, clause.Reason)
	}
	return err
}

// parseExpiry reads a time, or how long from now on.
func parseExpiry(text string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	wait, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		if n > 36_500 { // a century; far more would overflow a duration
			err = strconv.ErrRange
		}
		wait = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || wait <= 0 {
		return time.Time{}, fmt.Errorf("--expires %q: must be how long from now, such as 720h or 30d, or a time, such as %s",
			text, now.Add(720*time.Hour).UTC().Format(time.RFC3339))
	}
	return now.Add(wait), nil
}

type keysListCommand struct {
	Redis redisFlags `embed:""`
	JSON  bool       `name:"json" help:"Print JSON."`
}

// Run lists the keys, without their secrets, which nobody has.
func (k *keysListCommand) Run(ctx context.Context, c *console) error {
	return withStore(ctx, &k.Redis, c, func(ctx context.Context, store auth.Store) error {
		views := []keyView{}
		for key, err := range auth.AllKeys(ctx, store) {
			if err != nil {
				return err
			}
			views = append(views, viewKey(key))
		}
		if k.JSON {
			return printJSON(c.out, views)
		}
		return printKeys(c.out, views)
	})
}

func printKeys(w io.Writer, views []keyView) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tKIND\tMERCHANT\tNAME\tCREATED\tSTATE")
	for _, v := range views {
		state := "usable"
		switch {
		case v.Revoked != nil:
			state = "revoked " + v.Revoked.Format(time.RFC3339)
		case v.Expires != nil && v.Expires.Before(time.Now()):
			state = "expired " + v.Expires.Format(time.RFC3339)
		case v.Expires != nil:
			state = "until " + v.Expires.Format(time.RFC3339)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", v.ID, v.Kind, v.Merchant, v.Name, v.Created.Format(time.RFC3339), state)
	}
	return table.Flush()
}

type keysRevokeCommand struct {
	Redis redisFlags `embed:""`
	ID    string     `arg:"" help:"The key's id, as in keys list."`
	JSON  bool       `name:"json" help:"Print JSON."`
}

// Run revokes the key. Once more does no harm.
func (k *keysRevokeCommand) Run(ctx context.Context, c *console) error {
	if _, err := auth.ParseSecret(k.ID); err == nil {
		return errors.New("this is a key, not its id: see keys list")
	}
	return withStore(ctx, &k.Redis, c, func(ctx context.Context, store auth.Store) error {
		key, err := store.Revoke(ctx, k.ID)
		if errors.Is(err, auth.ErrUnknown) {
			return fmt.Errorf("there is no key with the id %q: see keys list", k.ID)
		}
		if err != nil {
			return err
		}
		if k.JSON {
			return printJSON(c.out, viewKey(key))
		}
		_, err = fmt.Fprintf(c.out, "%s is revoked since %s\n", key.ID, key.Revoked.UTC().Format(time.RFC3339))
		return err
	})
}

// A keyView is a key as it is printed in JSON.
type keyView struct {
	ID        string     `json:"id"`
	Key       string     `json:"key,omitempty"` // the secret, when it was just made
	Kind      auth.Kind  `json:"kind"`
	Merchant  string     `json:"merchant,omitempty"`
	Name      string     `json:"name,omitempty"`
	Types     []string   `json:"types,omitempty"`
	Subjects  []string   `json:"subjects,omitempty"`
	Filter    string     `json:"filter,omitempty"`
	Merchants []string   `json:"merchants,omitempty"`
	Scopes    []string   `json:"scopes"`
	Created   time.Time  `json:"created"`
	Expires   *time.Time `json:"expires,omitempty"`
	Revoked   *time.Time `json:"revoked,omitempty"`
}

func viewKey(k *auth.Key) keyView {
	return keyView{
		ID: k.ID, Kind: k.Kind, Merchant: k.Merchant, Name: k.Name,
		Types: k.Types, Subjects: k.Subjects, Filter: k.Filter, Merchants: k.Merchants,
		Scopes: k.Granted(), Created: k.Created.UTC(), Expires: viewTime(k.Expires), Revoked: viewTime(k.Revoked),
	}
}

func viewTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// printJSON writes v on one line, with < and > as they are: filters have them.
func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// withStore calls use with the store of keys in Redis.
func withStore(ctx context.Context, flags *redisFlags, c *console, use func(context.Context, auth.Store) error) error {
	if len(flags.Redis) == 0 {
		return errors.New("say where the keys are with --redis HOST:PORT; an embedded server holds its own keys: pushserver dev makes some and prints them")
	}
	ctx, cancel := context.WithTimeout(ctx, keysLimit)
	defer cancel()
	logger := slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelError}))
	log, err := flags.open(ctx, logger)
	if err != nil {
		return err
	}
	defer log.Close()
	return use(ctx, auth.NewRedisStore(log.Client(), auth.RedisOptions{}))
}
