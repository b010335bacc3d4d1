package ratelimit

import (
	"context"
	"slices"
)

// Renew implements [Leases].
func (m *MemoryLimiter) Renew(_ context.Context, held []Lease) (found Renewal, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.tidy(now)
	type growth struct{ added, limit int }
	grown := map[string]growth{}
	for _, l := range held {
		a := m.keyState(l.Key, now)
		if _, over := a.ended[l.ID]; over {
			found.Ended = append(found.Ended, l)
			continue
		}
		if _, known := a.leases[l.ID]; !known && l.Limit > 0 {
			grown[l.Key] = growth{grown[l.Key].added + 1, l.Limit}
		}
		a.hold(l, now+LeaseLife.Microseconds())
	}
	for key, g := range grown {
		a := m.keys[key]
		excess := min(g.added, len(a.leases)-g.limit)
		for _, l := range slices.Backward(a.oldest(len(a.leases))) {
			if excess <= 0 {
				break
			}
			excess--
			a.drop(l.ID)
			found.Surplus = append(found.Surplus, l)
		}
	}
	return found, nil
}

// renewAll keeps leases whatever the limits say, because Redis counts them.
func (m *MemoryLimiter) renewAll(held []Lease) Renewal {
	bare := slices.Clone(held)
	for i := range bare {
		bare[i].Info, bare[i].Limit = nil, 0
	}
	found, _ := m.Renew(context.Background(), bare) // it does not fail
	return found
}

// Release implements [Leases].
func (m *MemoryLimiter) Release(_ context.Context, held ...Lease) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for _, l := range held {
		m.keyState(l.Key, now).end(l.ID, now+releasedLife.Microseconds())
	}
}

// List implements [Leases].
func (m *MemoryLimiter) List(_ context.Context, key string) ([]Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.keyState(key, m.now())
	return a.oldest(len(a.leases)), nil
}

// End implements [Leases].
func (m *MemoryLimiter) End(_ context.Context, key, id string) (Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	a := m.keyState(key, now)
	if _, held := a.leases[id]; !held {
		return Lease{}, ErrNoLease
	}
	l, _ := a.end(id, now+endedLife.Microseconds())
	return l, nil
}

// follow holds and ends the leases of a verdict that was given elsewhere.
func (m *MemoryLimiter) follow(ask Ask, v Verdict) {
	if !v.Allowed {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.tidy(now)
	for _, l := range v.Ended {
		m.keyState(l.Key, now).end(l.ID, now+endedLife.Microseconds())
	}
	if ask.Lease != nil {
		m.keyState(ask.Key, now).hold(*ask.Lease, now+LeaseLife.Microseconds())
	}
}
