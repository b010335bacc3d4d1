package catalog

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Bounds of numbers, in decimal digits. Schemas have the tighter ones: a number of
// data that is cut to its own bounds stays on the same side of every number of a
// schema.
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

// parseDecimal reads a JSON number. It replaces an exponent with too many digits by
// one that is just out of range.
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

// isSmall reports whether a schema can have the number.
func isSmall(text string) bool {
	d := parseDecimal(text)
	return d.digits == "" || len(d.digits)+d.exponent <= schemaDigits && -d.exponent <= schemaDigits
}

// bounded returns the number, or if arithmetic on it would cost too much, a number
// that compares equally with every number of a schema. It keeps the sign and
// whether the number is whole.
//
// The validator turns numbers into fractions: slowly for 1e999999, and not at all
// for larger ones.
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
		// One digit other than zero stands for all that is cut off.
		keep := max(len(d.digits)+d.exponent+fractionDigits, 0)
		d.digits, d.exponent = d.digits[:keep]+"1", -fractionDigits-1
	}
	return json.Number(d.String())
}

// boundNumbers replaces the numbers in a decoded value by bounded ones, in place.
func boundNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		return bounded(v)
	case []any:
		for i := range v {
			v[i] = boundNumbers(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = boundNumbers(v[name])
		}
	}
	return v
}
