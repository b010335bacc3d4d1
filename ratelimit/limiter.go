package ratelimit

import (
	"context"
	"time"

	"github.com/paylogic/pushserver/ratelimit/policy"
)

// A Limiter decides whether something may happen now. [MemoryLimiter] and
// [RedisLimiter] implement it; the same suite runs over both.
type Limiter interface {
	// Take decides all charges of an ask together, in one round trip: if all are
	// allowed, they are charged; if one is refused, none is. It always answers, at
	// the latest shortly after [TakeDeadline].
	Take(ctx context.Context, ask Ask) Verdict
}

// An Ask is a request against the limits of one key.
type Ask struct {
	Key     string // such as the id of an API key
	Charges []Charge

	// Lease, if set, counts as one against each concurrent policy among the
	// charges. A verdict that allows it holds it until it is released or expires.
	Lease *Lease
	// TakeOver ends the key's oldest lease where [policy.Streams] would refuse.
	TakeOver bool
}

// A Charge is a limit and how much of it to take.
//
// An N of zero asks what is left and takes nothing. A concurrent policy ignores N:
// with a lease in the ask it is one, without it zero.
type Charge struct {
	Policy policy.Policy
	N      int
}

// Peek returns charges that ask what is left of each limit and take nothing.
func Peek(limits policy.Limits) []Charge {
	charges := make([]Charge, len(limits))
	for i, p := range limits {
		charges[i].Policy = p
	}
	return charges
}

// A Verdict is the answer to an [Ask].
type Verdict struct {
	Allowed   bool
	Decisions []Decision // one for each charge, in their order

	// Ended is the lease that was taken over. Its connection is for the caller
	// to end if it is one of its own; another gateway learns of it when it
	// renews, unless it is told before.
	Ended []Lease
	// InTheWay are the oldest leases of the key, at most ten, if a concurrent
	// policy refused.
	InTheWay []Lease
	// Local says that Redis did not take part in the decision.
	Local bool
}

// A Decision is what one policy says.
//
// If the verdict allows the ask, Remaining and Reset include the charge. If the
// verdict refuses it, no charge was made, even where the decision allows it.
type Decision struct {
	Policy    policy.Policy
	Allowed   bool
	Remaining int
	Reset     time.Duration // until more than Remaining is left; 0 if that is all, or unknown
	Retry     time.Duration // until the charge may be allowed; 0 if it is, or never will be
	Never     bool          // refused because it is more than the whole quota: ask for less
}

// Retry returns how long to wait before it makes sense to ask the same again:
// zero if there is nothing to wait for.
func (v Verdict) Retry() (wait time.Duration) {
	for _, d := range v.Decisions {
		if d.Never {
			return 0
		}
		wait = max(wait, d.Retry)
	}
	return wait
}

// busyRetry is the Retry of a concurrent policy, where the end of a lease cannot be
// predicted.
const busyRetry = 5 * time.Second

func decide(p policy.Policy, c passage) Decision {
	return Decision{
		Policy:    p,
		Allowed:   c.ok,
		Remaining: int(c.left),
		Reset:     time.Duration(c.more) * time.Microsecond,
		Retry:     time.Duration(c.future) * time.Microsecond,
		Never:     c.never,
	}
}
