package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/paylogic/pushserver/keys"
	"github.com/paylogic/pushserver/streams"
)

// mostAnswer is more than any answer about keys has.
const mostAnswer = 64 << 20

// A remoteRegistry is the one of a server.
type remoteRegistry struct{ server serverFlags }

// Create implements registry.
func (r *remoteRegistry) Create(ctx context.Context, description keys.Patch) (v keys.View, err error) {
	err = r.do(ctx, http.MethodPost, "v1/keys", nil, description, nil, &v)
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
	err := r.do(ctx, http.MethodGet, "v1/keys", query, nil, nil, &page)
	return page.Keys, err
}

// Find implements registry.
func (r *remoteRegistry) Find(ctx context.Context, id string) (v keys.View, err error) {
	err = r.do(ctx, http.MethodGet, pathOf(id), nil, nil, nil, &v)
	return v, err
}

// Edit implements registry.
func (r *remoteRegistry) Edit(ctx context.Context, id string, revision int64, p keys.Patch) (v keys.View, err error) {
	header := http.Header{}
	if revision > 0 {
		header.Set("If-Match", strconv.Quote(strconv.FormatInt(revision, 10)))
	}
	err = r.do(ctx, http.MethodPatch, pathOf(id), nil, p, header, &v)
	return v, err
}

// Rotate implements registry.
func (r *remoteRegistry) Rotate(ctx context.Context, id string, overlap time.Duration) (v keys.View, err error) {
	body := map[string]int64{"overlap": int64(overlap / time.Second)}
	err = r.do(ctx, http.MethodPost, pathOf(id)+"/rotate", nil, body, nil, &v)
	return v, err
}

// Revoke implements registry.
func (r *remoteRegistry) Revoke(ctx context.Context, id string) (v keys.View, err error) {
	err = r.do(ctx, http.MethodDelete, pathOf(id), nil, nil, nil, &v)
	return v, err
}

// Audit implements registry.
func (r *remoteRegistry) Audit(ctx context.Context, after streams.ID, limit int) (page keys.AuditPage, err error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	if !after.IsZero() {
		query.Set("after", after.String())
	}
	err = r.do(ctx, http.MethodGet, "v1/audit", query, nil, nil, &page)
	return page, err
}

func pathOf(id string) string { return "v1/keys/" + url.PathEscape(id) }

// do asks the server once, and reads its answer into answer.
func (r *remoteRegistry) do(ctx context.Context, method, path string, query url.Values, body any, header http.Header, answer any) error {
	address, err := r.server.endpoint(path, query)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&text).Encode(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, address, &text)
	if err != nil {
		return err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Authorization", "Bearer "+r.server.Key)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return plainly(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return readRefusal(resp)
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, mostAnswer)).Decode(answer)
	if errors.Is(err, context.DeadlineExceeded) {
		return plainly(err)
	}
	if err != nil {
		return fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	return nil
}
