// Package policy defines limits: what they are called, how they are written and
// which of them a key may have.
//
// [Parse] reads them, and every part of the program that names a limit uses this
// package: flags, requests, stored keys and the limiter. It imports nothing of
// this module.
package policy

import (
	"strconv"
	"time"

	"golang.org/x/time/rate"
)

// The names of policies.
const (
	Streams    = "streams"    // open at the same time
	Connects   = "connects"   // streams opened
	Requests   = "requests"   // requests that have no policy of their own
	Publishes  = "publishes"  // events published; each of a batch counts
	Deliveries = "deliveries" // events on one stream; they pace it and are never dropped
	Replay     = "replay"     // events read from the log
	Filters    = "filters"    // distinct filters among the open streams
	Tokens     = "tokens"     // browser tokens minted
)

// policies are all there are, each with its default and the most that a key may
// be given. The product of the largest quota and its window in µs stays far
// below 2^53, up to which Lua's numbers are exact.
var policies = [...]struct {
	Policy
	most int
}{
	{Policy{Streams, 50, 0}, 1_000_000},
	{Policy{Connects, 60, time.Minute}, 6_000_000},
	{Policy{Requests, 600, time.Minute}, 6_000_000},
	{Policy{Publishes, 1_000, time.Second}, 1_000_000},
	{Policy{Deliveries, 10_000, time.Second}, 1_000_000},
	{Policy{Replay, 600_000, time.Minute}, 10_000_000},
	{Policy{Filters, 20, 0}, 100_000},
	{Policy{Tokens, 60, time.Minute}, 6_000_000},
}

// A Policy is one limit: Quota within a Window, or Quota at the same time if
// there is no window.
//
// A full quota may be used at once; what is used comes back evenly over the
// window. Quotas that [Parse] accepts are positive and not too large to count
// exactly.
type Policy struct {
	Name   string
	Quota  int
	Window time.Duration
}

// Concurrent reports whether the policy limits what stands at the same time, not
// what happens within a window.
func (p Policy) Concurrent() bool { return p.Window == 0 }

// String returns the policy as [Parse] reads it: "streams=50", "connects=60/m".
func (p Policy) String() string {
	return p.Name + "=" + strconv.Itoa(p.Quota) + unit(p.Window)
}

// Local returns a limiter of this process alone that keeps the policy, full at
// first: for [Deliveries], which nobody else has to know of.
func (p Policy) Local() *rate.Limiter {
	if p.Concurrent() {
		return rate.NewLimiter(rate.Inf, 0) // nothing that happens within a time
	}
	return rate.NewLimiter(rate.Limit(float64(p.Quota)/p.Window.Seconds()), p.Quota)
}

func unit(window time.Duration) string {
	switch window {
	case 0:
		return ""
	case time.Second:
		return "/s"
	case time.Minute:
		return "/m"
	}
	return "/" + window.String()
}
