//go:build lockorder

package lockorder

import (
	"strings"
	"testing"
)

type outer struct{}

func (outer) Rank() int { return 1 }

type inner struct{}

func (inner) Rank() int { return 2 }

func TestOrderIsChecked(t *testing.T) {
	var a Mutex[outer]
	var b, other Mutex[inner]
	tests := []struct {
		name  string
		locks func()
		want  string // of the panic; "" where the order holds
	}{
		{"rising", func() { a.Lock(); b.Lock(); b.Unlock(); a.Unlock() }, ""},
		{"released first", func() { b.Lock(); b.Unlock(); a.Lock(); a.Unlock() }, ""},
		{"tried", func() {
			b.Lock()
			if a.TryLock() {
				a.Unlock()
			}
			b.Unlock()
		}, ""},
		{"held elsewhere", func() {
			b.Lock()
			done := make(chan struct{})
			go func() { a.Lock(); a.Unlock(); close(done) }()
			<-done
			b.Unlock()
		}, ""},
		{"inverted", func() { b.Lock(); defer b.Unlock(); a.Lock() }, "rank 1 (lockorder.outer) is taken while rank 2 is held"},
		{"inverted after a try", func() { b.TryLock(); defer b.Unlock(); a.Lock() }, "is taken while rank 2 is held"},
		{"two of a rank", func() { b.Lock(); defer b.Unlock(); other.Lock() }, "rank 2 (lockorder.inner) is taken while rank 2 is held"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got string
			func() {
				defer func() {
					if r := recover(); r != nil {
						got = r.(string)
					}
				}()
				test.locks()
			}()
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("panic %q, want %q", got, test.want)
			}
		})
	}
}
