package policy

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// Limits are policies, one of each name at most, in a fixed order. The server's
// name all; those of a key replace the server's, name by name.
//
// Limits are never changed in place: copy and share them freely.
type Limits []Policy

// Defaults returns the limits of a key for which none were configured.
func Defaults() Limits {
	l := make(Limits, len(policies))
	for i, p := range policies {
		l[i] = p.Policy
	}
	return l
}

// Largest returns the largest limits that a key may have.
func Largest() Limits {
	l := Defaults()
	for i := range l {
		l[i].Quota = policies[i].most
	}
	return l
}

// Lookup returns the policy of this name, if the limits have it.
func (l Limits) Lookup(name string) (Policy, bool) {
	for _, p := range l {
		if p.Name == name {
			return p, true
		}
	}
	return Policy{}, false
}

// Of returns the policy of this name. If the limits lack it, that is one that
// allows nothing.
func (l Limits) Of(name string) Policy {
	p, ok := l.Lookup(name)
	if !ok {
		p = Policy{Name: name, Window: units[0].window}
	}
	return p
}

// With returns the limits with these policies added, or replaced where the limits
// have the name. It ignores policies of an unknown name.
func (l Limits) With(changes ...Policy) Limits {
	changed := slices.Clone(l)
	for _, p := range changes {
		if position(p.Name) < 0 {
			continue
		}
		if i := slices.IndexFunc(changed, func(q Policy) bool { return q.Name == p.Name }); i >= 0 {
			changed[i] = p
		} else {
			changed = append(changed, p)
		}
	}
	changed.sort()
	return changed
}

// Without returns the limits without the policy of this name.
func (l Limits) Without(name string) Limits {
	return slices.DeleteFunc(slices.Clone(l), func(p Policy) bool { return p.Name == name })
}

func (l Limits) sort() {
	slices.SortFunc(l, func(a, b Policy) int {
		return cmp.Or(cmp.Compare(uint(position(a.Name)), uint(position(b.Name))), cmp.Compare(a.Name, b.Name))
	})
}

// Check returns nil for limits that [Parse] can return, and otherwise an [*Error].
func (l Limits) Check() error {
	for i, p := range l {
		if _, twice := l[:i].Lookup(p.Name); twice {
			return &Error{p.Name, "must be given only once"}
		}
		if err := p.Check(); err != nil {
			return err
		}
	}
	return nil
}

// String returns the limits as [Parse] reads them.
func (l Limits) String() string {
	texts := make([]string, len(l))
	for i, p := range l {
		texts[i] = p.String()
	}
	return strings.Join(texts, ",")
}

// MarshalJSON returns an object such as {"connects":"60/m","streams":"50"}.
func (l Limits) MarshalJSON() ([]byte, error) {
	members := make(map[string]string, len(l))
	for _, p := range l {
		members[p.Name] = p.value()
	}
	return json.Marshal(members)
}

// UnmarshalJSON reads what [Limits.MarshalJSON] returns. It accepts unknown names
// and any quota, because a newer server may have written them: see [Limits.Check].
func (l *Limits) UnmarshalJSON(text []byte) error {
	var members map[string]string
	if err := json.Unmarshal(text, &members); err != nil {
		return err
	}
	read := make(Limits, 0, len(members))
	for name, value := range members {
		p, ok := parseValue(name, value)
		if !ok {
			return &Error{"", "must be numbers such as 50 or 60/m"}
		}
		read = append(read, p)
	}
	read.sort()
	*l = read
	return nil
}
