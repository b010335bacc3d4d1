package auth

import (
	"container/list"
	"sync"
)

// A cache holds a fixed number of values at most; the one not asked for the
// longest makes room.
type cache[K comparable, V any] struct {
	size int

	mu      sync.Mutex          // guards the following
	entries map[K]*list.Element // of entry[K, V]
	used    list.List           // latest first
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

func newCache[K comparable, V any](size int) *cache[K, V] {
	return &cache[K, V]{size: size, entries: map[K]*list.Element{}}
}

func (c *cache[K, V]) get(key K) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok {
		return value, false
	}
	c.used.MoveToFront(e)
	return e.Value.(*entry[K, V]).value, true
}

func (c *cache[K, V]) put(key K, value V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[key]; ok {
		e.Value.(*entry[K, V]).value = value
		c.used.MoveToFront(e)
		return
	}
	if len(c.entries) >= c.size {
		oldest := c.used.Back()
		delete(c.entries, oldest.Value.(*entry[K, V]).key)
		c.used.Remove(oldest)
	}
	c.entries[key] = c.used.PushFront(&entry[K, V]{key, value})
}

func (c *cache[K, V]) drop(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[key]; ok {
		delete(c.entries, key)
		c.used.Remove(e)
	}
}

func (c *cache[K, V]) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}
