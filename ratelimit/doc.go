// Package ratelimit says whether something may happen now.
//
// A [Policy] is one limit, such as 60 connects a minute, and [Limits] are all
// those of one API key: [Defaults], changed by what [Parse] reads. Whoever
// wants to do something puts it to a [Limiter] as one [Ask] and gets a
// [Verdict]: all limits of a connect or a publish are decided together, in one
// round trip, and if one of them refuses none is charged.
//
// Rates are counted by the Generic Cell Rate Algorithm. What stands for a
// while, such as an open stream, is counted by a [Lease], which its gateway
// renews: a gateway that dies gives its leases back by being silent. [Leases]
// renews, releases, lists and ends them.
//
// [MemoryLimiter] counts within one process. [RedisLimiter] counts across
// gateways, and when Redis is away by itself, with a share of each limit: it
// is never unlimited and never shut.
//
// [Addresses] limits those who have no key to be limited by, on one gateway
// alone. [Header] tells a client where it stands. The package knows no HTTP:
// fields come and go as text.
package ratelimit
