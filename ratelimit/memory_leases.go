package ratelimit

import "context"

// Renew implements [Leases].
func (m *MemoryLimiter) Renew(_ context.Context, held []Lease) (ended []Lease, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.tidy(now)
	for _, l := range held {
		a := m.account(l.Key, now)
		if _, over := a.ended[l.ID]; over {
			ended = append(ended, l)
			continue
		}
		a.hold(l, now+LeaseLife.Microseconds())
	}
	return ended, nil
}

// Release implements [Leases].
func (m *MemoryLimiter) Release(_ context.Context, held ...Lease) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for _, l := range held {
		m.account(l.Key, now).end(l.ID, now+releasedLife.Microseconds())
	}
}

// List implements [Leases].
func (m *MemoryLimiter) List(_ context.Context, key string) ([]Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.account(key, m.now())
	return a.oldest(len(a.leases)), nil
}

// End implements [Leases].
func (m *MemoryLimiter) End(_ context.Context, key, id string) (Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	a := m.account(key, now)
	if _, held := a.leases[id]; !held {
		return Lease{}, ErrNoLease
	}
	l, _ := a.end(id, now+endedLife.Microseconds())
	return l, nil
}

// Confirm implements [Leases]: there is nobody else to ask.
func (m *MemoryLimiter) Confirm(context.Context) (refused []Lease, err error) { return nil, nil }

// holds reports whether a lease is held.
func (m *MemoryLimiter) holds(l Lease) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, held := m.account(l.Key, m.now()).leases[l.ID]
	return held
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
		m.account(l.Key, now).end(l.ID, now+endedLife.Microseconds())
	}
	if ask.Lease != nil {
		m.account(ask.Key, now).hold(*ask.Lease, now+LeaseLife.Microseconds())
	}
}
