package policy

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Limits are the policies of one key, one of each name. They are a value:
// copy and compare them freely.
type Limits [len(policies)]Policy

// Defaults are the limits of a key for which nothing else was said.
func Defaults() (l Limits) {
	for i, p := range policies {
		l[i] = p.Policy
	}
	return l
}

// Largest are the largest limits that a key can be given.
func Largest() (l Limits) {
	for i, p := range policies {
		l[i] = p.Policy
		l[i].Quota = p.most
	}
	return l
}

// With returns the limits with some of them replaced.
func (l Limits) With(changes ...Policy) Limits {
	for _, p := range changes {
		if i := position(p.Name); i >= 0 {
			l[i] = p
		}
	}
	return l
}

// Of returns the policy of this name. For a name that no policy has, it is one
// that allows nothing.
func (l Limits) Of(name string) Policy {
	if i := position(name); i >= 0 {
		return l[i]
	}
	return Policy{Name: name, Window: time.Minute}
}

// String returns all limits as [Parse] reads them.
func (l Limits) String() string { return Format(l[:]) }

// Parse reads policies as [Format] writes them:
// "streams=50,connects=60/m,publishes=100/s". Spaces around them do not count,
// and none is fine too. Each name has one unit: nothing, /s or /m.
//
// The error is a [*FieldError].
func Parse(text string) ([]Policy, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var parsed []Policy
	var seen [len(policies)]bool
	for item := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(item), "=")
		i := position(name)
		if i < 0 {
			return nil, unknownName(name)
		}
		if seen[i] {
			return nil, &FieldError{name, "must be given only once"}
		}
		seen[i] = true
		p := policies[i].Policy
		quota, ok := strings.CutSuffix(value, unit(p.Window))
		if p.Quota = wholeNumber(quota); !ok {
			p.Quota = -1
		}
		if err := p.Check(); err != nil {
			return nil, err
		}
		parsed = append(parsed, p)
	}
	return parsed, nil
}

// Check returns nil for what [Parse] can return, and otherwise a [*FieldError].
func (p Policy) Check() error {
	i := position(p.Name)
	if i < 0 {
		return unknownName(p.Name)
	}
	known := &policies[i]
	if p.Window != known.Window || p.Quota < 1 || p.Quota > known.most {
		return &FieldError{p.Name, fmt.Sprintf("must be a whole number from 1 to %d%s, such as %s",
			known.most, unit(known.Window), known.Policy)}
	}
	return nil
}

// Format writes policies as text.
func Format(policies []Policy) string {
	texts := make([]string, len(policies))
	for i, p := range policies {
		texts[i] = p.String()
	}
	return strings.Join(texts, ",")
}

// A FieldError says which limit cannot stand as it was written, and why. Both
// texts may be shown to whoever wrote it.
type FieldError struct {
	Field  string // the name of the policy, or "limits" where there is none
	Reason string // what to do about it: "must be …"
}

// Error implements error.
func (e *FieldError) Error() string { return "ratelimit: " + e.Field + " " + e.Reason }

// wholeNumber returns -1 for what is not written as one, so that a number has
// one form only.
func wholeNumber(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || strconv.Itoa(n) != text {
		return -1
	}
	return n
}

// unknownName names the field only where that repeats a plain word: the rest of
// what people write into a field is not for logs and terminals.
func unknownName(name string) *FieldError {
	known := make([]string, len(policies))
	for i, p := range policies {
		known[i] = p.Name
	}
	field := "limits"
	if len(name) <= 32 && name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") == "" {
		field = name
	}
	return &FieldError{field, "must be one of " + strings.Join(known, ", ") + ", then = and a number"}
}

// position returns the place of a name among the policies, or -1.
func position(name string) int {
	for i, p := range policies {
		if p.Name == name {
			return i
		}
	}
	return -1
}
