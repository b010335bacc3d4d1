package streams

import (
	"context"
	"sync"
	"time"
)

// tasks are the goroutines of a hub. They outlive the request that caused them,
// so their context is the hub's, and lives here.
type tasks struct {
	ctx  context.Context // done when the hub is closed
	stop context.CancelFunc

	mu      tasksMutex // guards the following
	running sync.WaitGroup
	closed  bool // close waits: nothing new may begin
}

func newTasks() *tasks {
	ctx, stop := context.WithCancel(context.Background())
	return &tasks{ctx: ctx, stop: stop}
}

// spawn runs f in a goroutine that close waits for. Once close was called, it
// does nothing.
func (t *tasks) spawn(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.running.Go(f)
	}
}

func (t *tasks) every(d time.Duration, f func()) {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			f()
		case <-t.ctx.Done():
			return
		}
	}
}

// timeout returns a context that ends after d, or with the hub.
func (t *tasks) timeout(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.ctx, d)
}

// waitFor waits for done, for ctx, or for the end of the hub.
func (t *tasks) waitFor(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.ctx.Done():
		return ErrDraining
	}
}

// close ends the context and waits for every goroutine.
func (t *tasks) close() {
	t.stop()
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.running.Wait()
}
