package auth

import (
	"net/netip"
	"strconv"
	"strings"
)

// ValidOrigin reports whether a browser could send this text as the origin of a page
// (RFC 6454, 6.2): http or https, the host in lower case, and a port only if it is not
// the default of the scheme. The origin "null" identifies no page and is invalid.
func ValidOrigin(origin string) bool {
	if len(origin) > MaxOriginLen {
		return false
	}
	scheme, rest, ok := strings.Cut(origin, "://")
	if !ok || scheme != "http" && scheme != "https" {
		return false
	}
	host, port := rest, ""
	if colon := strings.LastIndexByte(rest, ':'); colon > strings.LastIndexByte(rest, ']') {
		host, port = rest[:colon], rest[colon+1:]
		if !validPort(port) || scheme == "http" && port == "80" || scheme == "https" && port == "443" {
			return false
		}
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		ip, err := netip.ParseAddr(inner)
		return ok && err == nil && ip.Is6() && ip.Zone() == "" && ip.String() == inner
	}
	return validHost(host)
}

// validHost accepts DNS names, internationalized ones in their encoded form, and IPv4
// addresses, which have the same form.
func validHost(host string) bool {
	for label := range strings.SplitSeq(strings.TrimSuffix(host, "."), ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == port
}

func badOrigin(field string) *FieldError {
	return &FieldError{field, `must be as browsers send it, such as "https://shop.example" or "http://localhost:3000": ` +
		"in lower case, without a path, and without the usual port"}
}
