package auth

import (
	"context"
	"maps"
	"time"
)

// useEvery is how often a keyring writes down when its keys were last used.
const recordUseEvery = time.Minute

// RecordUse writes down once a minute which keys were used since, until ctx is
// done, and then once more. Nothing waits for it: what a key is used for costs
// no write, and what was not written when the process dies is lost.
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

// writeUse keeps what could not be written for the next time.
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
