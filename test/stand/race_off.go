//go:build !race

package stand

// RaceDetector reports whether the tests have the race detector.
const RaceDetector = false
