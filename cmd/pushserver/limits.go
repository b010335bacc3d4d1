package main

import (
	"fmt"
	"strings"

	"github.com/paylogic/pushserver/ratelimit/policy"
)

// parseLimits reads the values of --limits. serve and keys have that flag, and
// report the same errors.
func parseLimits(items []string) (policy.Limits, error) {
	limits, err := policy.Parse(strings.Join(items, ","))
	if err != nil {
		return nil, fmt.Errorf("--limits: %w", err)
	}
	return limits, nil
}
