// Package policy defines limits: their names, how they are written, and how large
// they may be.
//
// All parts of the program that name a limit use it: flags, requests, stored keys
// and the limiter. It imports nothing of this module.
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
	Deliveries = "deliveries" // events on one stream; they are delayed, never dropped
	Replay     = "replay"     // events read from the log
	Filters    = "filters"    // distinct filters among the open streams and waiting pages
	Tokens     = "tokens"     // browser tokens issued
)

// policies holds every policy in the order in which limits are written, with its
// default and the largest quota that a key may have.
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

const largest = 10_000_000 // of any quota

// units are the windows that a rate may have. The limiter counts in units of
// 1/quota µs, and Lua's numbers are exact up to 2^53: quota times window may not
// exceed half of that, which bounds the quota of a long window.
var units = [...]struct {
	suffix string
	window time.Duration
	most   int
}{
	{"/s", time.Second, largest},
	{"/m", time.Minute, largest},
	{"/h", time.Hour, 1_000_000},
	{"/d", 24 * time.Hour, 50_000},
}

// A Policy is one limit: Quota within a Window, or, if there is no window, Quota
// at the same time.
//
// A client may use a full quota at once; it comes back evenly over the window.
type Policy struct {
	Name   string
	Quota  int
	Window time.Duration // a second, a minute, an hour or a day; zero: none
}

// Concurrent reports whether the policy limits how many things exist at the same
// time, not how many happen within a window.
func (p Policy) Concurrent() bool { return p.Window == 0 }

// String returns the policy as [Parse] reads it: "streams=50", "connects=60/m".
func (p Policy) String() string { return p.Name + "=" + p.value() }

// value returns what follows the equals sign: "50", "60/m".
func (p Policy) value() string {
	suffix, _, _ := unit(p.Window)
	return strconv.Itoa(p.Quota) + suffix
}

// Local returns a limiter for this process alone that keeps the policy and starts
// full.
func (p Policy) Local() *rate.Limiter {
	if p.Concurrent() {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(float64(p.Quota)/p.Window.Seconds()), p.Quota)
}
