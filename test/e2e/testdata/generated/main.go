// Command generated uses a client that oapi-codegen has generated, in the folder
// gen, from the description of a server.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"generated/gen"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("all as described")
}

func as(variable string) *gen.ClientWithResponses {
	c, err := gen.NewClientWithResponses(os.Getenv("PUSHSERVER_URL"), gen.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+os.Getenv(variable))
		return nil
	}))
	if err != nil {
		panic(err)
	}
	return c
}

func run(ctx context.Context) error {
	merchant, publisher, admin := as("PUSHSERVER_KEY"), as("PUSHSERVER_PUBLISHER_KEY"), as("PUSHSERVER_ADMIN_KEY")
	me, err := merchant.ShowMeWithResponse(ctx)
	if err != nil || me.JSON200 == nil || me.JSON200.Role != "merchant" || (*me.JSON200.Limits)["streams"].Quota < 1 {
		return fmt.Errorf("me: %w: %s", err, me.Body)
	}

	var body gen.PublishEventsJSONRequestBody
	subject := "event/42"
	if err := body.FromShortEvent(gen.ShortEvent{
		Merchant: "acme", Type: "ticket.availability", Subject: &subject, Data: map[string]any{"available": 17},
	}); err != nil {
		return err
	}
	published, err := publisher.PublishEventsWithResponse(ctx, nil, body)
	if err != nil || published.JSON201 == nil || published.JSON201.Position == "" {
		return fmt.Errorf("publish: %w: %s", err, published.Body)
	}

	page, err := merchant.ListEventsWithResponse(ctx, nil)
	if err != nil || page.JSON200 == nil || len(page.JSON200.Events) != 1 {
		return fmt.Errorf("history: %w: %s", err, page.Body)
	}
	state, err := merchant.ReadStateWithResponse(ctx, nil)
	if err != nil || state.JSON200 == nil || len(state.JSON200.State) != 1 {
		return fmt.Errorf("state: %w: %s", err, state.Body)
	}
	types, err := merchant.ListEventTypesWithResponse(ctx)
	if err != nil || types.JSON200 == nil || len(types.JSON200.EventTypes) == 0 {
		return fmt.Errorf("event types: %w: %s", err, types.Body)
	}
	streams, err := merchant.ListConnectionsWithResponse(ctx)
	if err != nil || streams.JSON200 == nil {
		return fmt.Errorf("connections: %w: %s", err, streams.Body)
	}

	acme, seen := "acme", []string{"payment.*"}
	made, err := admin.CreateKeyWithResponse(ctx, gen.CreateKeyJSONRequestBody{Kind: "live", Merchant: &acme, Types: &seen})
	if err != nil || made.JSON201 == nil || made.JSON201.Key == "" {
		return fmt.Errorf("make a key: %w: %s", err, made.Body)
	}
	var fewer gen.Quota
	if err := fewer.FromQuota1("30/m"); err != nil {
		return err
	}
	edited, err := admin.EditKeyWithResponse(ctx, made.JSON201.Id, nil, gen.KeyDescription{Limits: &gen.Limits{Connects: &fewer}})
	if err != nil || edited.JSON200 == nil || edited.JSON200.Revision != 2 {
		return fmt.Errorf("edit a key: %w: %s", err, edited.Body)
	}
	revoked, err := admin.RevokeKeyWithResponse(ctx, made.JSON201.Id)
	if err != nil || revoked.JSON200 == nil || revoked.JSON200.RevokedAt == nil {
		return fmt.Errorf("revoke a key: %w: %s", err, revoked.Body)
	}
	audit, err := admin.ListChangesWithResponse(ctx, nil)
	if err != nil || audit.JSON200 == nil || len(audit.JSON200.Changes) != 3 {
		return fmt.Errorf("audit: %w: %s", err, audit.Body)
	}

	refused, err := merchant.ListKeysWithResponse(ctx, nil)
	if err != nil || refused.ApplicationproblemJSON403 == nil || refused.ApplicationproblemJSON403.Type != "/problems/wrong-role" {
		return errors.Join(errors.New("a refusal is not as described"), err)
	}
	return nil
}
