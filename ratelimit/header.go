package ratelimit

import (
	"strconv"
	"strings"
	"time"
)

// Header returns the values of the fields RateLimit-Policy and RateLimit
// (draft-ietf-httpapi-ratelimit-headers-10, lists of RFC 9651), or two empty
// strings if there are no decisions. A draft may change; nothing else writes
// them.
func Header(decisions []Decision) (policy, limit string) {
	var policies, limits strings.Builder
	for _, d := range decisions {
		if policies.Len() > 0 {
			policies.WriteString(", ")
			limits.WriteString(", ")
		}
		name := quoted(d.Policy.Name)
		policies.WriteString(name)
		limits.WriteString(name)
		parameter(&policies, ";q=", d.Policy.Quota)
		parameter(&limits, ";r=", d.Remaining)
		switch {
		case d.Policy.Concurrent():
			policies.WriteString(`;qu="concurrent-requests"`)
		default:
			parameter(&policies, ";w=", seconds(d.Policy.Window))
		}
		if d.Reset > 0 {
			parameter(&limits, ";t=", seconds(d.Reset))
		}
	}
	return policies.String(), limits.String()
}

// seconds rounds up, so that no client comes back too early.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

func parameter(b *strings.Builder, name string, value int) {
	b.WriteString(name)
	b.WriteString(strconv.Itoa(value))
}

// quoted returns a string as in RFC 9651, section 3.3.3. It replaces everything but
// printable ASCII with a question mark.
func quoted(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(text) {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			b.WriteByte('?')
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
