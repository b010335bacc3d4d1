package auth

import (
	"errors"
	"slices"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/filter"
)

// Limits on the description of a key.
const (
	MaxNameLen      = 128   // bytes of a key's name
	MaxTypeLen      = 128   // bytes of a type pattern
	MaxMerchants    = 1_000 // merchants of a publisher's key
	MaxOrigins      = 64    // origins of a key
	MaxOriginLen    = 256   // bytes of an origin
	maxMerchantLen  = 64
	lastYearOfATime = 9999 // RFC 3339 writes four digits
)

// ValidMerchant reports whether name is a valid merchant name: 1 to 64 characters of
// a-z, 0-9 and the hyphen. Names with a dot or an underscore belong to the program, such
// as the log of a merchant's test mode.
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

// Validate returns nil if a key with this description may be made at the given time,
// else a [*FieldError]. The clause must compile. A field without effect for the kind
// must be empty, so that no caller relies on it.
func (k *Key) Validate(now time.Time) error {
	if !k.Kind.valid() {
		return &FieldError{"kind", "must be live, test, pub or adm"}
	}
	for _, check := range []func() *FieldError{
		k.checkName, k.checkMerchants, k.checkClause, k.checkScopes,
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

func (k *Key) checkClause() *FieldError {
	switch {
	case k.Kind == Adm && len(k.Types) > 0:
		return &FieldError{"types", "must be empty: adm keys see and publish no events"}
	case !k.Kind.Reads() && len(k.Subjects) > 0:
		return &FieldError{"subjects", "must be empty: only live and test keys see events"}
	case !k.Kind.Reads() && k.Filter != "":
		return &FieldError{"filter", "must be empty: only live and test keys see events"}
	}
	return checkClause(k.Clause)
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

// checkClause compiles a clause. No event has a type longer than [MaxTypeLen].
func checkClause(c filter.Clause) *FieldError {
	for _, pattern := range c.Types {
		if len(pattern) > MaxTypeLen {
			return tooLong("types", MaxTypeLen)
		}
	}
	_, err := filter.Compile(c)
	if err == nil {
		return nil
	}
	var broken *filter.Error
	if !errors.As(err, &broken) {
		panic("auth: compile a clause: " + err.Error()) // Compile has no other errors
	}
	field := broken.Part
	if field == filter.PartSubject {
		field = "subjects"
	}
	return &FieldError{field, broken.Reason}
}

func tooLong(field string, limit int) *FieldError {
	return &FieldError{field, "must be at most " + strconv.Itoa(limit) + " bytes"}
}

func tooMany(field string, limit int) *FieldError {
	return &FieldError{field, "must be at most " + strconv.Itoa(limit) + " values"}
}

// printable rejects text that moves a cursor, hides, or changes the direction of text:
// names are printed on terminals and in logs.
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
