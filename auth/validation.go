package auth

import (
	"errors"
	"slices"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/paylogic/pushserver/ratelimit/policy"
)

// What the description of a key may hold at most.
const (
	MaxNameLen      = 128   // bytes of a key's name
	MaxPatterns     = 64    // types of a key, and subjects
	MaxTypeLen      = 128   // bytes of a type pattern
	MaxSubjectLen   = 256   // bytes of a subject pattern
	MaxFilterLen    = 2_048 // bytes of a filter
	MaxMerchants    = 1_000 // merchants of a publisher's key
	MaxOrigins      = 64    // origins of a key
	MaxOriginLen    = 256   // bytes of an origin
	maxMerchantLen  = 64
	lastYearOfATime = 9999 // RFC 3339 writes four digits
)

// ValidMerchant reports whether name can be a merchant's: 1 to 64 characters
// of a-z, 0-9 and the hyphen. Names with a dot or an underscore are the
// program's own, such as the log of a merchant's test mode.
func ValidMerchant(name string) bool {
	if name == "" || len(name) > maxMerchantLen {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

// Validate returns nil if a key may be made as described, at the time given,
// else a [*FieldError]. A field that the kind has no use for must be empty, so
// that nobody believes in a restriction that does not restrict.
//
// Patterns and filter are checked for size and characters only; compile them
// before a key is made.
func (k *Key) Validate(now time.Time) error {
	if !k.Kind.valid() {
		return &FieldError{"kind", "must be live, test, pub or adm"}
	}
	for _, check := range []func() *FieldError{
		k.checkName, k.checkMerchants, k.checkTypes, k.checkSubjects, k.checkFilter, k.checkScopes,
		k.checkOrigins, k.checkLimits,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	switch {
	case k.Expires.IsZero():
	case !k.Expires.After(now):
		return &FieldError{"expires_at", "must be in the future"}
	case k.Expires.UTC().Year() > lastYearOfATime:
		return &FieldError{"expires_at", "must be before the year 10000"}
	}
	return nil
}

func (k *Key) checkName() *FieldError {
	switch {
	case len(k.Name) > MaxNameLen:
		return tooLong("name", MaxNameLen)
	case !printable(k.Name):
		return &FieldError{"name", "must be printable text without control characters"}
	}
	return nil
}

func (k *Key) checkMerchants() *FieldError {
	switch {
	case k.Kind.Reads() && !ValidMerchant(k.Merchant):
		return &FieldError{"merchant", "must be 1 to 64 characters from a-z, 0-9 and -"}
	case !k.Kind.Reads() && k.Merchant != "":
		return &FieldError{"merchant", "must be empty: only live and test keys belong to a merchant"}
	case k.Kind != Pub && len(k.Merchants) > 0:
		return &FieldError{"merchants", "must be empty: only pub keys publish"}
	case len(k.Merchants) > MaxMerchants:
		return tooMany("merchants", MaxMerchants)
	}
	for _, name := range k.Merchants {
		if !ValidMerchant(name) {
			return &FieldError{"merchants", "must each be 1 to 64 characters from a-z, 0-9 and -"}
		}
	}
	return nil
}

func (k *Key) checkTypes() *FieldError {
	if k.Kind == Adm && len(k.Types) > 0 {
		return &FieldError{"types", "must be empty: adm keys see and publish no events"}
	}
	return checkPatterns("types", k.Types, MaxTypeLen)
}

func (k *Key) checkSubjects() *FieldError {
	if !k.Kind.Reads() && len(k.Subjects) > 0 {
		return &FieldError{"subjects", "must be empty: only live and test keys see events"}
	}
	return checkPatterns("subjects", k.Subjects, MaxSubjectLen)
}

func (k *Key) checkFilter() *FieldError {
	switch {
	case !k.Kind.Reads() && k.Filter != "":
		return &FieldError{"filter", "must be empty: only live and test keys see events"}
	case len(k.Filter) > MaxFilterLen:
		return tooLong("filter", MaxFilterLen)
	case !utf8.ValidString(k.Filter):
		return &FieldError{"filter", "must be valid UTF-8"}
	}
	return nil
}

func (k *Key) checkScopes() *FieldError {
	scopes := k.Kind.Scopes()
	if len(k.Scopes) > len(scopes) {
		return tooMany("scopes", len(scopes))
	}
	for _, scope := range k.Scopes {
		if !slices.Contains(scopes, scope) {
			return &FieldError{"scopes", "must be among those of a " + string(k.Kind) + " key"}
		}
	}
	return nil
}

func (k *Key) checkOrigins() *FieldError {
	switch {
	case !k.Kind.Reads() && len(k.Origins) > 0:
		return &FieldError{"origins", "must be empty: only live and test keys can mint tokens for pages"}
	case len(k.Origins) > MaxOrigins:
		return tooMany("origins", MaxOrigins)
	}
	for _, origin := range k.Origins {
		if !ValidOrigin(origin) {
			return badOrigin("origins")
		}
	}
	return nil
}

func (k *Key) checkLimits() *FieldError {
	var invalid *policy.Error
	if errors.As(k.Limits.Check(), &invalid) {
		return &FieldError{invalid.Field(), invalid.Reason}
	}
	return nil
}

func checkPatterns(field string, patterns []string, maxLen int) *FieldError {
	if len(patterns) > MaxPatterns {
		return tooMany(field, MaxPatterns)
	}
	for _, p := range patterns {
		switch {
		case p == "":
			return &FieldError{field, "must not hold an empty pattern"}
		case len(p) > maxLen:
			return tooLong(field, maxLen)
		case !printable(p):
			return &FieldError{field, "must be printable text without control characters"}
		}
	}
	return nil
}

func tooLong(field string, limit int) *FieldError {
	return &FieldError{field, "must be at most " + strconv.Itoa(limit) + " bytes"}
}

func tooMany(field string, limit int) *FieldError {
	return &FieldError{field, "must be at most " + strconv.Itoa(limit) + " values"}
}

// printable refuses what moves a cursor, hides or turns text: names end up in
// terminals and logs.
func printable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}
