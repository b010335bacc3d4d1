package catalog

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Bounds of numbers, in decimal digits. Those of schemas are the tighter ones, so
// that a number of data that is cut to its own bounds is on the same side of
// every number of a schema as before.
const (
	wholeDigits    = 64 // before the point
	fractionDigits = 40
	schemaDigits   = 30
)

// A decimal is a number as digits · 10^exponent.
type decimal struct {
	negative bool
	digits   string // without zeros at either end; "" is zero
	exponent int
}

// parseDecimal reads a number of JSON. An exponent too long to be one is taken
// for one that is just out of reach.
func parseDecimal(text string) decimal {
	const beyond = 1 << 30
	var d decimal
	text, d.negative = strings.CutPrefix(text, "-")
	mantissa := text
	if at := strings.IndexAny(text, "eE"); at >= 0 {
		mantissa = text[:at]
		exponent, err := strconv.Atoi(text[at+1:])
		if err != nil || exponent > beyond || exponent < -beyond {
			exponent = beyond
			if text[at+1] == '-' {
				exponent = -beyond
			}
		}
		d.exponent = exponent
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	d.exponent -= len(fraction)
	digits := strings.TrimLeft(whole+fraction, "0")
	d.digits = strings.TrimRight(digits, "0")
	d.exponent += len(digits) - len(d.digits)
	if d.digits == "" {
		d.exponent = 0
	}
	return d
}

// String returns the number as JSON writes it.
func (d decimal) String() string {
	if d.digits == "" {
		return "0"
	}
	text := d.digits
	if d.exponent != 0 {
		text += "e" + strconv.Itoa(d.exponent)
	}
	if d.negative {
		text = "-" + text
	}
	return text
}

// isSmall reports whether a number is one that schemas may have.
func isSmall(text string) bool {
	d := parseDecimal(text)
	return d.digits == "" || len(d.digits)+d.exponent <= schemaDigits && -d.exponent <= schemaDigits
}

// bounded returns a number with which the validator can reckon: itself, or if
// that would cost too much, one that is just as large to every schema. It stays
// whole or not whole, and on its side of zero.
//
// The validator makes fractions of numbers. 1e999999 takes it long, each time, and
// from a larger one it gets none at all.
func bounded(text json.Number) any {
	if len(text) <= 18 {
		if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
			return n
		}
	}
	d := parseDecimal(string(text))
	switch {
	case d.digits == "":
		return int64(0)
	case len(d.digits)+d.exponent > wholeDigits:
		d.digits, d.exponent = "1", wholeDigits
	case d.exponent < -fractionDigits:
		// What is cut off leaves one digit that is not zero.
		keep := max(len(d.digits)+d.exponent+fractionDigits, 0)
		d.digits, d.exponent = d.digits[:keep]+"1", -fractionDigits-1
	}
	return json.Number(d.String())
}

// settle replaces the numbers in a decoded value by bounded ones, in place.
func settle(v any) any {
	switch v := v.(type) {
	case json.Number:
		return bounded(v)
	case []any:
		for i := range v {
			v[i] = settle(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = settle(v[name])
		}
	}
	return v
}
