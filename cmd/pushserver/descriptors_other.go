//go:build !unix

package main

// descriptorLimit returns 0 for unknown.
func descriptorLimit() int { return 0 }
