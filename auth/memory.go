package auth

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// A MemoryStore is a [Store] that lives and ends with the process. The zero
// value is empty and ready for use by any number of goroutines.
type MemoryStore struct {
	mu        sync.RWMutex // guards the following
	keys      map[Hash]*Key
	hashes    map[string]Hash // of each id
	ordered   []*Key          // by compareKeys; the same pointers as in keys
	merchants []string        // in byte order
}

// Create implements [Store].
func (m *MemoryStore) Create(_ context.Context, hash Hash, key *Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, sameHash := m.keys[hash]
	_, sameID := m.hashes[key.ID]
	if sameHash || sameID {
		return fmt.Errorf("auth: create %s: it is there already", key.ID)
	}
	if m.keys == nil {
		m.keys, m.hashes = map[Hash]*Key{}, map[string]Hash{}
	}
	key = key.clone()
	m.keys[hash] = key
	m.hashes[key.ID] = hash
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
	key, ok := m.keys[hash]
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
		hash, ok := m.hashes[after]
		if !ok {
			return nil, ErrUnknown
		}
		at, _ := slices.BinarySearchFunc(m.ordered, m.keys[hash], compareKeys)
		from = at + 1
	}
	page := cut(m.ordered, from, limit)
	for i, key := range page {
		page[i] = key.clone()
	}
	return page, nil
}

// Revoke implements [Store].
func (m *MemoryStore) Revoke(_ context.Context, id string) (*Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	hash, ok := m.hashes[id]
	if !ok {
		return nil, ErrUnknown
	}
	key := m.keys[hash]
	if key.Revoked.IsZero() {
		key.Revoked = timestamp()
	}
	return key.clone(), nil
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

// cut returns a copy of the page of sorted that begins at from.
func cut[T any](sorted []T, from, limit int) []T {
	return slices.Clone(sorted[from:min(from+pageSize(limit), len(sorted))])
}
