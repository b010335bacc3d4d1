// Package base62 makes random text of the digits 0-9, A-Z and a-z.
package base62

import "crypto/rand"

// Digits are all digits, in the order of their values and of ASCII.
const Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Is reports whether c is a digit.
func Is(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// Random returns n random digits, from the system's secure generator. All digits
// are equally likely.
func Random(n int) string {
	text := make([]byte, n)
	Fill(text)
	return string(text)
}

// Fill overwrites dst with random digits, as [Random] makes them.
func Fill(dst []byte) {
	const fair = 256 - 256%62 // higher bytes would favour the first digits
	var random [16]byte
	for i := 0; i < len(dst); {
		_, _ = rand.Read(random[:]) // it never fails: it ends the program instead
		for _, b := range random {
			if b < fair && i < len(dst) {
				dst[i] = Digits[b%62]
				i++
			}
		}
	}
}
