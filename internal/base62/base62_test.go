package base62

import (
	"slices"
	"testing"
)

func TestRandomDigitsAreEquallyLikely(t *testing.T) {
	const expected = 2_000
	var seen [256]int
	text := Random(62 * expected)
	for i := range len(text) {
		seen[text[i]]++
	}
	var chi2 float64
	for _, c := range []byte(Digits) {
		d := float64(seen[c] - expected)
		chi2 += d * d / expected
	}
	// 61 degrees of freedom: above 160 less than once in 10^9 runs. A byte
	// taken modulo 62 would give about 1,800.
	if chi2 > 160 {
		t.Errorf("chi-square of %d characters is %.0f, want at most 160", len(text), chi2)
	}
}

func TestOnlyDigitsAreDigits(t *testing.T) {
	var digits []byte
	for c := range 256 {
		if Is(byte(c)) {
			digits = append(digits, byte(c))
		}
	}
	if string(digits) != Digits {
		t.Errorf("digits are %q, want %q", digits, Digits)
	}
}

func TestFillOverwritesAll(t *testing.T) {
	for n := range 100 {
		dst := make([]byte, n)
		Fill(dst)
		if slices.Contains(dst, 0) || len(Random(n)) != n {
			t.Errorf("%q has a byte that is no digit, want %d digits", dst, n)
		}
	}
}
