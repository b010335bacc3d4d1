package auth

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A MemoryStore is a [Store] that ends with the process. The zero value is empty and
// ready for concurrent use.
type MemoryStore struct {
	mu        sync.RWMutex    // guards the following
	keys      map[string]*Key // by id
	ids       map[Hash]string // by the hashes of secrets
	ordered   []*Key          // by compareKeys; the same pointers as in keys
	merchants []string        // in byte order
}

// Create implements [Store].
func (m *MemoryStore) Create(_ context.Context, key *Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.create(key)
}

// CreateFirstAdmin implements [Store].
func (m *MemoryStore) CreateFirstAdmin(_ context.Context, key *Key) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept, ok := m.keys[key.ID]
	repeated := ok && sameRecord(kept, key)
	if !repeated && slices.ContainsFunc(m.ordered, func(k *Key) bool { return k.Kind == Adm }) {
		return false, nil
	}
	return true, m.create(key)
}

// create is called with mu held.
func (m *MemoryStore) create(key *Key) error {
	if kept, ok := m.keys[key.ID]; ok && sameRecord(kept, key) {
		return nil
	}
	_, sameHash := m.ids[key.secret]
	_, sameID := m.keys[key.ID]
	if sameHash || sameID {
		return fmt.Errorf("auth: create %s: it is there already", key.ID)
	}
	if m.keys == nil {
		m.keys, m.ids = map[string]*Key{}, map[Hash]string{}
	}
	key = key.clone()
	m.keys[key.ID] = key
	m.ids[key.secret] = key.ID
	at, _ := slices.BinarySearchFunc(m.ordered, key, compareKeys)
	m.ordered = slices.Insert(m.ordered, at, key)
	if key.Merchant != "" {
		m.addMerchant(key.Merchant)
	}
	return nil
}

// Find implements [Store].
func (m *MemoryStore) Find(_ context.Context, hash Hash) (*Key, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	id, ok := m.ids[hash]
	if !ok {
		return nil, ErrUnknown
	}
	return m.keys[id].clone(), nil
}

// FindByID implements [Store].
func (m *MemoryStore) FindByID(_ context.Context, id string) (*Key, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	key, ok := m.keys[id]
	if !ok {
		return nil, ErrUnknown
	}
	return key.clone(), nil
}

// List implements [Store].
func (m *MemoryStore) List(_ context.Context, after string, limit int) ([]*Key, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	from := 0
	if after != "" {
		key, ok := m.keys[after]
		if !ok {
			return nil, ErrUnknown
		}
		at, _ := slices.BinarySearchFunc(m.ordered, key, compareKeys)
		from = at + 1
	}
	page := cut(m.ordered, from, limit)
	for i, key := range page {
		page[i] = key.clone()
	}
	return page, nil
}

// Replace implements [Store].
func (m *MemoryStore) Replace(_ context.Context, key *Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept, ok := m.keys[key.ID]
	if !ok {
		return ErrUnknown
	}
	if err := replaces(kept, key); err != nil {
		return err
	}
	if id, ok := m.ids[key.secret]; ok && id != key.ID {
		return fmt.Errorf("auth: replace %s: its secret is another key's", key.ID)
	}
	delete(m.ids, kept.secret)
	delete(m.ids, kept.former)
	m.ids[key.secret] = key.ID
	if key.former != (Hash{}) {
		m.ids[key.former] = key.ID
	}
	used := kept.LastUsed
	*kept = *key.clone() // in its place, for ordered has the same pointer
	kept.LastUsed = used
	return nil
}

// Revoke implements [Store].
func (m *MemoryStore) Revoke(_ context.Context, id string) (*Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key, ok := m.keys[id]
	if !ok {
		return nil, ErrUnknown
	}
	if key.Revoked.IsZero() {
		key.Revoked = timestamp()
	}
	return key.clone(), nil
}

// MarkUsed implements [Store].
func (m *MemoryStore) MarkUsed(_ context.Context, at map[string]time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, used := range at {
		if key, ok := m.keys[id]; ok && used.After(key.LastUsed) {
			key.LastUsed = cutTime(used)
		}
	}
	return nil
}

// MerchantExists implements [Store].
func (m *MemoryStore) MerchantExists(_ context.Context, name string) (bool, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	_, ok := slices.BinarySearch(m.merchants, name)
	return ok, nil
}

// AddMerchant implements [Store].
func (m *MemoryStore) AddMerchant(_ context.Context, name string) error {
	if err := checkMerchantName(name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.addMerchant(name)
	return nil
}

// addMerchant is called with mu held.
func (m *MemoryStore) addMerchant(name string) {
	if at, ok := slices.BinarySearch(m.merchants, name); !ok {
		m.merchants = slices.Insert(m.merchants, at, name)
	}
}

// Merchants implements [Store].
func (m *MemoryStore) Merchants(_ context.Context, after string, limit int) ([]string, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	from, found := slices.BinarySearch(m.merchants, after)
	if found {
		from++
	}
	return cut(m.merchants, from, limit), nil
}

// cut returns a copy of the page of sorted that starts at from.
func cut[T any](sorted []T, from, limit int) []T {
	return slices.Clone(sorted[from:min(from+pageSize(limit), len(sorted))])
}
