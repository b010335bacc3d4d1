package main

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/paylogic/pushserver/api/client"
	"github.com/paylogic/pushserver/api/keys"
)

// A remoteRegistry is the registry of a running server.
type remoteRegistry struct{ client *client.Client }

// Create implements registry.
func (r *remoteRegistry) Create(ctx context.Context, description keys.Patch) (v keys.View, err error) {
	err = r.client.Do(ctx, http.MethodPost, "v1/keys", nil, description, &v)
	return v, err
}

// List implements registry.
func (r *remoteRegistry) List(ctx context.Context, after string, limit int) ([]keys.View, error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	if after != "" {
		query.Set("after", after)
	}
	var page struct {
		Keys []keys.View `json:"keys"`
	}
	err := r.client.Do(ctx, http.MethodGet, "v1/keys", query, nil, &page)
	return page.Keys, err
}

// Find implements registry.
func (r *remoteRegistry) Find(ctx context.Context, id string) (v keys.View, err error) {
	err = r.client.Do(ctx, http.MethodGet, pathOf(id), nil, nil, &v)
	return v, err
}

// Edit implements registry.
func (r *remoteRegistry) Edit(ctx context.Context, id string, p keys.Patch) (v keys.View, err error) {
	err = r.client.Do(ctx, http.MethodPatch, pathOf(id), nil, p, &v)
	return v, err
}

// Rotate implements registry.
func (r *remoteRegistry) Rotate(ctx context.Context, id string, overlap time.Duration) (v keys.View, err error) {
	body := map[string]int64{"overlap": int64(overlap / time.Second)}
	err = r.client.Do(ctx, http.MethodPost, pathOf(id)+"/rotate", nil, body, &v)
	return v, err
}

// Revoke implements registry.
func (r *remoteRegistry) Revoke(ctx context.Context, id string) (v keys.View, err error) {
	err = r.client.Do(ctx, http.MethodDelete, pathOf(id), nil, nil, &v)
	return v, err
}

// Audit implements registry.
func (r *remoteRegistry) Audit(ctx context.Context, after eventlog.ID, limit int) (page keys.AuditPage, err error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	if !after.IsZero() {
		query.Set("after", after.String())
	}
	err = r.client.Do(ctx, http.MethodGet, "v1/audit", query, nil, &page)
	return page, err
}

func pathOf(id string) string { return "v1/keys/" + url.PathEscape(id) }
