package policy

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// An Error says which limit is invalid, and why. Its texts may be shown to the
// person who wrote the limit.
type Error struct {
	Name   string // of the policy; empty: the text names no policy
	Reason string // what to do about it: "must be …"
}

// Error implements error.
func (e *Error) Error() string {
	if e.Name == "" {
		return "limits " + e.Reason
	}
	return e.Name + " " + e.Reason
}

// Field returns where the error is in the description of a key: "limits", or
// "limits.streams".
func (e *Error) Field() string {
	if e.Name == "" {
		return "limits"
	}
	return "limits." + e.Name
}

// Parse reads limits such as "streams=50,connects=60/m,publishes=100/s". Spaces
// around an item do not matter, and no item is fine too. The windows are s, m, h
// and d.
//
// The error is an [*Error].
func Parse(text string) (Limits, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var l Limits
	for item := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(item), "=")
		p, err := ParseValue(name, value)
		if err != nil {
			return nil, err
		}
		if _, twice := l.Lookup(name); twice {
			return nil, &Error{name, "must be given only once"}
		}
		l = append(l, p)
	}
	l.sort()
	return l, nil
}

// ParseValue reads the policy of this name from a value such as "50" or "60/m".
// The error is an [*Error].
func ParseValue(name, value string) (Policy, error) {
	p, ok := parseValue(name, value)
	if !ok {
		p.Quota, p.Window = 0, -1
	}
	return p, p.Check()
}

// parseValue accepts one form of a number only: neither "+5" nor "05".
func parseValue(name, value string) (Policy, bool) {
	p := Policy{Name: name}
	for _, u := range units {
		if number, ok := strings.CutSuffix(value, u.suffix); ok {
			value, p.Window = number, u.window
			break
		}
	}
	var err error
	p.Quota, err = strconv.Atoi(value)
	return p, err == nil && strconv.Itoa(p.Quota) == value
}

// Check returns nil for a policy that [ParseValue] can return, and otherwise an
// [*Error].
func (p Policy) Check() error {
	i := position(p.Name)
	if i < 0 {
		return unknown(p.Name)
	}
	known := policies[i]
	suffix, most, ok := unit(p.Window)
	switch {
	case known.Concurrent() && p.Window != 0:
		return &Error{p.Name, "must be a whole number without a window, such as " + known.value()}
	case !known.Concurrent() && (!ok || p.Concurrent()):
		return &Error{p.Name, "must be a whole number and a window of s, m, h or d, such as " + known.value()}
	}
	if most = min(most, known.most); p.Quota < 1 || p.Quota > most {
		return &Error{p.Name, fmt.Sprintf("must be a whole number from 1 to %d%s, such as %s", most, suffix, known.value())}
	}
	return nil
}

// unit returns how a window is written and the largest quota that it can have.
func unit(window time.Duration) (suffix string, most int, ok bool) {
	for _, u := range units {
		if u.window == window {
			return u.suffix, u.most, true
		}
	}
	return "", largest, window == 0
}

// unknown repeats a name only if it is a plain word: anything else that people
// put there, such as a secret, must not reach logs and terminals.
func unknown(name string) *Error {
	known := make([]string, len(policies))
	for i, p := range policies {
		known[i] = p.Name
	}
	reason := "must be among " + strings.Join(known, ", ") + ", each with = and a quota"
	if name != "" && len(name) <= 32 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") == "" {
		reason += fmt.Sprintf("; %q is unknown", name)
	}
	return &Error{"", reason}
}

// position returns the index of a name in policies, or -1.
func position(name string) int {
	for i, p := range policies {
		if p.Name == name {
			return i
		}
	}
	return -1
}
