//go:build !race

package filter

const slowdown = 1
