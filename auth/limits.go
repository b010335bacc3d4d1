package auth

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxQuota is the largest number that a limit can have.
const MaxQuota = 10_000_000

// A Quota is how much of something is allowed: N within each Window, or, if
// there is no window, N at a time.
type Quota struct {
	N      int
	Window time.Duration // a second, a minute, an hour or a day; zero: none
}

// Limits are quotas by the name of what they limit. See [LimitNames].
type Limits map[string]Quota

// A limit is what can be limited, and whether within a window.
type limit struct {
	name     string
	windowed bool
}

var limitable = []limit{
	{"streams", false}, // open at a time
	{"connects", true},
	{"requests", true},
	{"publishes", true}, // events
	{"deliveries", true},
	{"replay", true},   // events read from the log
	{"filters", false}, // different ones in use
	{"tokens", true},   // minted
}

type window struct {
	name  string
	width time.Duration
}

var windows = []window{
	{"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", 24 * time.Hour},
}

// LimitNames returns the names that [Limits] may have.
func LimitNames() []string {
	var names []string
	for _, l := range limitable {
		names = append(names, l.name)
	}
	return names
}

// ParseLimits reads what [Limits.String] writes: "streams=50,connects=60/m".
// The empty text is no limits. What cannot stand is refused with a
// [*FieldError] for the field "limits", or, if it is clear which of them is
// wrong, "limits.connects".
func ParseLimits(text string) (Limits, error) {
	if text == "" {
		return nil, nil
	}
	limits := Limits{}
	for item := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(item, "=")
		if _, twice := limits[name]; twice {
			return nil, &FieldError{"limits." + name, "must be given only once"}
		}
		quota, err := ParseLimit(name, value)
		if err != nil {
			return nil, err
		}
		limits[name] = quota
	}
	return limits, nil
}

// ParseLimit reads the quota of one limit: "50", or "60/m". Its errors are those
// of [ParseLimits].
func ParseLimit(name, value string) (Quota, error) {
	var quota Quota
	if err := quota.UnmarshalText([]byte(value)); err != nil {
		quota = Quota{N: -1}
	}
	if err := checkLimit(name, quota); err != nil {
		return Quota{}, err
	}
	return quota, nil
}

// String returns the limits in the order of their names.
func (l Limits) String() string {
	var items []string
	for _, name := range slices.Sorted(maps.Keys(l)) {
		items = append(items, name+"="+l[name].String())
	}
	return strings.Join(items, ",")
}

// String returns "50", or "60/m".
func (q Quota) String() string {
	text := strconv.Itoa(q.N)
	for _, w := range windows {
		if w.width == q.Window {
			return text + "/" + w.name
		}
	}
	return text
}

// MarshalText returns [Quota.String].
func (q Quota) MarshalText() ([]byte, error) { return []byte(q.String()), nil }

// UnmarshalText reads what [Quota.MarshalText] writes. Whether the quota can
// stand depends on what it limits, and is not checked.
func (q *Quota) UnmarshalText(text []byte) error {
	number, window, windowed := strings.Cut(string(text), "/")
	n, err := strconv.Atoi(number)
	if err != nil || strconv.Itoa(n) != number {
		return &FieldError{"limits", "must be numbers such as 50 or 60/m"}
	}
	*q = Quota{N: n}
	if !windowed {
		return nil
	}
	for _, w := range windows {
		if w.name == window {
			q.Window = w.width
			return nil
		}
	}
	return &FieldError{"limits", "must have a window of s, m, h or d"}
}

func (l Limits) check() *FieldError {
	for _, name := range slices.Sorted(maps.Keys(l)) {
		if err := checkLimit(name, l[name]); err != nil {
			return err
		}
	}
	return nil
}

// checkLimit refuses everything about a quota at once, for there is one thing
// to say: what it has to look like.
func checkLimit(name string, q Quota) *FieldError {
	at := slices.IndexFunc(limitable, func(l limit) bool { return l.name == name })
	if at < 0 {
		return &FieldError{"limits", "must be among " + strings.Join(LimitNames(), ", ") + `, each with its quota: "streams=50,connects=60/m"`}
	}
	fits, form := q.Window == 0, ", without a window"
	if limitable[at].windowed {
		fits, form = slices.ContainsFunc(windows, func(w window) bool { return w.width == q.Window }), ` and a window of s, m, h or d, such as "60/m"`
	}
	if q.N < 1 || q.N > MaxQuota || !fits {
		return &FieldError{"limits." + name, "must be a number from 1 to " + strconv.Itoa(MaxQuota) + form}
	}
	return nil
}
