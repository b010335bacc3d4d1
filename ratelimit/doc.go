// Package ratelimit says whether something may happen now.
//
// A caller puts a request to a [Limiter] as one [Ask] and gets a [Verdict]: all
// limits of a connect or a publish are decided together, in one round trip, and if
// one of them refuses, none is charged. Package policy defines the limits.
//
// The Generic Cell Rate Algorithm counts rates. A [Lease] counts something that
// lasts, such as an open stream. Its gateway renews it, so the leases of a dead
// gateway expire. [Leases] renews, releases, lists and ends them.
//
// [MemoryLimiter] counts within one process. [RedisLimiter] counts across gateways.
// While Redis is away it counts alone, with a share of each limit: it never allows
// everything and never refuses everything.
//
// [Addresses] limits clients without a valid key, on one gateway alone. [Header]
// tells a client what is left. The package knows no HTTP: fields are text.
package ratelimit
