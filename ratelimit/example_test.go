package ratelimit_test

import (
	"context"
	"fmt"
	"time"

	"github.com/paylogic/pushserver/ratelimit"
	"github.com/paylogic/pushserver/ratelimit/policy"
)

// What a gateway does when a client connects, and when it has gone.
func Example() {
	limiter := ratelimit.NewMemoryLimiter("gateway 1")
	overrides, err := policy.Parse("streams=2,connects=5/m")
	if err != nil {
		fmt.Println(err) // says which limit, and what to write instead
		return
	}
	limits := policy.Defaults().With(overrides...)

	lease := ratelimit.Lease{Key: "key_acme", ID: "con_1", Since: time.Now(), Info: []byte("203.0.113.0")}
	verdict := limiter.Take(context.Background(), ratelimit.Ask{
		Key: "key_acme",
		Charges: []ratelimit.Charge{
			{Policy: limits.Of(policy.Connects), N: 1},
			{Policy: limits.Of(policy.Streams)},
		},
		Lease: &lease,
	})
	policy, limit := ratelimit.Header(verdict.Decisions)
	fmt.Println(verdict.Allowed)
	fmt.Println("RateLimit-Policy:", policy)
	fmt.Println("RateLimit:", limit)

	limiter.Release(context.Background(), lease)
	// Output:
	// true
	// RateLimit-Policy: "connects";q=5;w=60, "streams";q=2;qu="concurrent-requests"
	// RateLimit: "connects";r=4;t=12, "streams";r=1
}
