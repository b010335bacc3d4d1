//go:build race

package filter

// slowdown is about what the race detector costs the parser.
const slowdown = 12
