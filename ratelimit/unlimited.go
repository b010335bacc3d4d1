package ratelimit

import "context"

// Unlimited is a [Limiter] that allows everything, counts nothing and asks nobody.
// Its verdicts have no decisions, for there is no policy that decides.
type Unlimited struct{}

// Take implements [Limiter].
func (Unlimited) Take(context.Context, ...Ask) Verdict { return Verdict{Allowed: true} }
