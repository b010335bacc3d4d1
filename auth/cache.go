package auth

import "container/list"

// A cache holds a bounded number of values and evicts the least recently used. Its
// owner synchronizes access.
type cache[K comparable, V any] struct {
	size    int
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
	e, ok := c.entries[key]
	if !ok {
		return value, false
	}
	c.used.MoveToFront(e)
	return e.Value.(*entry[K, V]).value, true
}

func (c *cache[K, V]) put(key K, value V) {
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
	if e, ok := c.entries[key]; ok {
		delete(c.entries, key)
		c.used.Remove(e)
	}
}

func (c *cache[K, V]) clear() {
	clear(c.entries)
	c.used.Init()
}
