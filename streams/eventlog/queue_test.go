package eventlog

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func (q *queue[T]) contents(i int) []T {
	var all []T
	for v := range q.from(i) {
		all = append(all, *v)
	}
	return all
}

func TestQueueIsAsASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue[int]
		var want []int
		next := 1
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				for range rapid.IntRange(1, 2*blockLen).Draw(t, "n") {
					q.push(next)
					want = append(want, next)
					next++
				}
			},
			"drop": func(t *rapid.T) {
				n := rapid.IntRange(0, len(want)).Draw(t, "n")
				q.drop(n)
				want = want[n:]
			},
			"search": func(t *rapid.T) {
				v := rapid.IntRange(0, next).Draw(t, "v")
				i, _ := slices.BinarySearch(want, v)
				if got := q.search(func(x *int) bool { return *x < v }); got != i {
					t.Fatalf("the first that is not before %d is at %d, want %d", v, got, i)
				}
			},
			"": func(t *rapid.T) {
				if q.len() != len(want) {
					t.Fatalf("it has %d values, want %d", q.len(), len(want))
				}
				i := rapid.IntRange(0, len(want)).Draw(t, "from")
				if got := q.contents(i); !slices.Equal(got, want[i:]) {
					t.Fatalf("from %d on it has %v, want %v", i, got, want[i:])
				}
			},
		})
	})
}

func TestQueueOfFewIsSmall(t *testing.T) {
	var q queue[int]
	q.push(1)
	if n := cap(q.blocks[0]); n >= blockLen {
		t.Errorf("for one value it has room for %d", n)
	}
}

func TestQueueLetsGoOfWhatWasDropped(t *testing.T) {
	var q queue[*int]
	for range blockLen + 1 {
		q.push(new(int))
	}
	q.drop(blockLen / 2)
	for i, v := range q.blocks[0] {
		if (v == nil) != (i < blockLen/2) {
			t.Errorf("value %d is %v", i, v)
		}
	}
	q.drop(blockLen / 2)
	if len(q.blocks) != 1 || q.len() != 1 {
		t.Errorf("%d values are left in %d blocks, want 1 in 1", q.len(), len(q.blocks))
	}
}
