package ratelimit

import (
	"context"
	"time"

	"github.com/paylogic/pushserver/ratelimit/policy"
)

// A Limiter decides whether something may happen now. [MemoryLimiter] and
// [RedisLimiter] implement it; the same suite runs over both.
type Limiter interface {
	// Take decides all charges of an ask together, in one round trip: if all
	// are allowed they are charged, and if one is refused none is. It always
	// answers, and soon; the context can only make it answer sooner.
	Take(ctx context.Context, ask Ask) Verdict
}

// An Ask is what somebody wants to do, at the expense of one key.
type Ask struct {
	Key     string // whose limits they are, such as the id of an API key
	Charges []Charge

	// Lease, if there is one, counts as one against each concurrent policy
	// among the charges, and is held from a verdict that allows it until it is
	// released or not renewed.
	Lease *Lease
	// TakeOver ends the key's oldest lease where [Streams] would refuse.
	TakeOver bool
}

// A Charge is a limit and how much of it is asked for.
//
// N of zero asks what is left and takes nothing. N does not matter for a
// concurrent policy: with a lease in the ask it is one, without it nothing.
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
// Remaining and Reset are as they are after the charge, if the verdict allows
// it; a charge that is allowed while the verdict is not was not made.
type Decision struct {
	Policy    policy.Policy
	Allowed   bool
	Remaining int
	Reset     time.Duration // until more than Remaining is left; 0 if that is all, or if nobody can know
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

// busyRetry is Retry of a concurrent policy: when somebody will go is not known.
const busyRetry = 5 * time.Second

// decide returns what a policy says of cells that came to its bucket.
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
