package auth

import (
	"context"
	"maps"
	"time"
)

// recordUseEvery is how often a keyring stores when its keys were last used.
const recordUseEvery = time.Minute

// RecordUse stores, once a minute, which keys were used since the last time. When ctx
// is done it does so once more and returns. Using a key costs no write; times not yet
// stored are lost if the process dies.
func (r *Keyring) RecordUse(ctx context.Context) {
	ticker := time.NewTicker(recordUseEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.writeUse(ctx)
		case <-ctx.Done():
			r.writeUse(context.WithoutCancel(ctx)) // the store's own deadline bounds it
			return
		}
	}
}

func (r *Keyring) markUsed(id string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used[id] = now
}

// writeUse keeps the times for the next attempt if the store fails.
func (r *Keyring) writeUse(ctx context.Context) {
	r.mu.Lock()
	used := r.used
	r.used = map[string]time.Time{}
	r.mu.Unlock()
	if len(used) == 0 || r.store.MarkUsed(ctx, used) == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.Copy(used, r.used) // the later times
	r.used = used
}
