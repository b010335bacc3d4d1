package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"github.com/paylogic/pushserver/api"
	"github.com/paylogic/pushserver/api/catalog"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/eventlog"
)

// devMerchants are the merchants that dev makes.
var devMerchants = []string{"acme", "globex"}

type devCommand struct {
	Listen string `help:"Address for clients; port 0 takes any free one." placeholder:"HOST:PORT" default:"127.0.0.1:8080" env:"PUSHSERVER_LISTEN"`
	JSON   bool   `name:"json" help:"Print the address and the keys as one line of JSON."`
}

// An introduction is everything a client needs to use a dev server.
type introduction struct {
	URL          string            `json:"url"`
	OpsURL       string            `json:"ops_url"`
	PublisherKey string            `json:"publisher_key"`
	AdminKey     string            `json:"admin_key"`
	Keys         map[string]string `json:"keys"`
	TestKeys     map[string]string `json:"test_keys"`
}

// Run serves from memory until ctx is done.
func (d *devCommand) Run(ctx context.Context, c *console) error {
	logger := slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	store := new(auth.MemoryStore)
	intro, err := issueDevKeys(ctx, store)
	if err != nil {
		return err
	}
	g, err := newGateway("127.0.0.1:0", logger)
	if err != nil {
		return err
	}
	defer g.close()
	tokens, err := auth.NewTokens(auth.TokenOptions{Secrets: []auth.SigningSecret{auth.NewSigningSecret()}})
	if err != nil {
		return err
	}
	config := api.Config{
		Log: eventlog.NewMemoryLog(eventlog.MemoryOptions{}), Store: store, Tokens: tokens,
		Catalog: catalog.Builtin(), Limits: policy.Largest(),
	}
	if err := g.open(clientListener{address: d.Listen}, streams.Options{}, config, true); err != nil {
		return err
	}
	intro.URL, intro.OpsURL = g.url(), g.opsURL()
	if d.JSON {
		err = json.NewEncoder(c.out).Encode(intro)
	} else {
		err = intro.print(c.out)
	}
	if err != nil {
		return err
	}
	return g.wait(ctx)
}

func issueDevKeys(ctx context.Context, store auth.Store) (*introduction, error) {
	intro := &introduction{Keys: make(map[string]string), TestKeys: make(map[string]string)}
	issue := func(kind auth.Kind, merchant string) (string, error) {
		secret, _, err := auth.Issue(ctx, store, auth.Key{Kind: kind, Merchant: merchant, Name: "dev"})
		if err != nil {
			return "", err
		}
		return secret.Reveal(), nil
	}
	var err error
	if intro.PublisherKey, err = issue(auth.Pub, ""); err != nil {
		return nil, err
	}
	if intro.AdminKey, err = issue(auth.Adm, ""); err != nil {
		return nil, err
	}
	for _, merchant := range devMerchants {
		if intro.Keys[merchant], err = issue(auth.Live, merchant); err != nil {
			return nil, err
		}
		if intro.TestKeys[merchant], err = issue(auth.Test, merchant); err != nil {
			return nil, err
		}
	}
	return intro, nil
}

// print writes the introduction for a person.
func (i *introduction) print(w io.Writer) error {
	_, err := fmt.Fprintf(w, `pushserver for trying out: %[1]s
Everything is in memory. Nothing survives the end of this process (Ctrl-C).

  acme       live %[2]s
             test %[3]s
  globex     live %[4]s
             test %[5]s
  publisher       %[6]s
  admin           %[7]s
  health, metrics %[8]s

Receive, in one terminal:

  curl -N -H 'Authorization: Bearer %[2]s' %[1]s/v1/stream

Publish, in another:

  curl -H 'Authorization: Bearer %[6]s' -H 'Content-Type: application/json' -d '{"merchant":"acme","type":"payment.paid","data":{"amount":4200}}' %[1]s/v1/events

Guide, reference and console: %[1]s/docs
Demo, for two windows: %[1]s/demo/tickets and %[1]s/demo/seats

`, i.URL, i.Keys["acme"], i.TestKeys["acme"], i.Keys["globex"], i.TestKeys["globex"],
		i.PublisherKey, i.AdminKey, i.OpsURL)
	return err
}
