// Package lockorder has a mutex whose type says in which order it is taken.
//
// Built with the tag lockorder, a goroutine that takes a mutex while it holds
// one of the same or a higher rank panics, whether or not another goroutine is
// there to deadlock with. TryLock is exempt. Built without it, a [Mutex] is a [sync.Mutex] and
// costs nothing more. The suites run with the tag.
package lockorder

// Ranked is the type of a mutex's rank, which has no state. A goroutine takes
// mutexes in the order of rising ranks.
type Ranked interface{ Rank() int }
