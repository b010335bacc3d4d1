package eventlog

import (
	"iter"
	"sort"
)

// blockLen is the number of values in a block.
const blockLen = 128

// A queue holds values in order, in blocks, so that it grows without copying. A
// copy of a hundred thousand entries would block everything for tens of
// milliseconds. The zero value is empty.
type queue[T any] struct {
	blocks [][]T // of blockLen each; only the last may have room, and the first starts small
	gone   int   // dropped from the first block
}

func (q *queue[T]) len() int {
	if len(q.blocks) == 0 {
		return 0
	}
	last := len(q.blocks) - 1
	return last*blockLen + len(q.blocks[last]) - q.gone
}

// at returns the value with index i, valid until the next push.
func (q *queue[T]) at(i int) *T {
	i += q.gone
	return &q.blocks[i/blockLen][i%blockLen]
}

func (q *queue[T]) push(value T) {
	last := len(q.blocks) - 1
	switch {
	case last < 0: // keep a short queue small
		q.blocks = append(q.blocks, nil)
		last++
	case len(q.blocks[last]) == blockLen:
		q.blocks = append(q.blocks, make([]T, 0, blockLen))
		last++
	}
	q.blocks[last] = append(q.blocks[last], value)
}

// drop removes the first n values and releases their memory.
func (q *queue[T]) drop(n int) {
	var none T
	for range n {
		*q.at(0) = none
		if q.gone++; q.gone == blockLen {
			q.blocks[0] = nil
			q.blocks, q.gone = q.blocks[1:], 0
		}
	}
}

// search returns the index of the first value for which before is false, or the
// length of the queue.
func (q *queue[T]) search(before func(*T) bool) int {
	return sort.Search(q.len(), func(i int) bool { return !before(q.at(i)) })
}

func (q *queue[T]) from(i int) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for ; i < q.len() && yield(q.at(i)); i++ {
		}
	}
}
