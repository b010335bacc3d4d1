package api

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/paylogic/pushserver/api/cloudevents"
	"github.com/paylogic/pushserver/internal/strictjson"
)

// A query is the parameters of a URL by name.
type query map[string]string

// credentialNames are parameters in which people put keys. URLs end up in logs and
// histories, so a key in one must be replaced.
var credentialNames = []string{"access_token", "api_key", "apikey", "authorization", "key", "token"}

// parseQuery reads a query strictly, because a lost filter would widen a stream. It
// refuses what url.ParseQuery drops or joins: ';' as a separator, bad percent
// escapes, a part without '=', a repeated parameter. It also refuses unknown names,
// and values with control characters or invalid UTF-8. A '+' means a space.
//
// A credential is refused before any other error.
func parseQuery(raw string, hasAuthorization bool, known ...string) (query, error) {
	q := make(query)
	if raw == "" {
		return q, nil
	}
	if hasCredential(raw, known) {
		if hasAuthorization {
			return nil, problem("ambiguous-credentials", "Send the key only in the Authorization header. Replace a key that was sent in a URL.")
		}
		return nil, problem("credential-in-url", `Replace this key, and send the new one in the header: "Authorization: Bearer <key>".`)
	}
	if strings.Contains(raw, ";") {
		return nil, problem("malformed-query", "Separate parameters with & and write %3B for a semicolon.")
	}
	for part := range strings.SplitSeq(raw, "&") {
		name, value, found := strings.Cut(part, "=")
		if !found {
			return nil, problem("malformed-query", "Write each parameter as name=value, with one & between parameters.")
		}
		name, err := url.QueryUnescape(name)
		if err != nil {
			return nil, problem("malformed-query", "Write %25 for a percent sign: a parameter name has an invalid percent escape.")
		}
		if !slices.Contains(known, name) {
			return nil, unknownParameter(name, known)
		}
		if _, twice := q[name]; twice {
			return nil, parameterProblem(name, "may appear only once")
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return nil, parameterProblem(name, "has a bad percent escape; write %25 for a percent sign")
		}
		if !utf8.ValidString(value) {
			return nil, parameterProblem(name, "must be UTF-8")
		}
		if strings.ContainsFunc(value, unicode.IsControl) {
			return nil, parameterProblem(name, "must have no control characters")
		}
		q[name] = value
	}
	return q, nil
}

// query reads the query of a request, which may have the parameters that
// openapi.yaml lists for its operation.
func (s *Server) query(r *http.Request) (query, error) {
	return parseQuery(r.URL.RawQuery, r.Header.Get("Authorization") != "", s.contract.parameters[operation(r)]...)
}

// checkQuery returns a problem if a parameter has a value that openapi.yaml does
// not allow.
func (s *Server) checkQuery(r *http.Request, q query) error {
	return s.contract.check(operation(r), r, q)
}

// operation names the operation of a request that a route has matched, such as
// "GET /v1/stream".
func operation(r *http.Request) string {
	if r.Method == http.MethodHead {
		return http.MethodGet + " " + r.Pattern
	}
	return r.Method + " " + r.Pattern
}

// hasCredential reports whether a parameter has the name of a credential. It also
// reads a malformed query.
func hasCredential(raw string, known []string) bool {
	separator := func(r rune) bool { return r == '&' || r == ';' }
	for part := range strings.FieldsFuncSeq(raw, separator) {
		name, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if slices.Contains(known, name) {
			continue
		}
		name = strings.ReplaceAll(strings.ToLower(name), "-", "_")
		if slices.Contains(credentialNames, name) || strings.HasPrefix(name, "ps_") {
			return true
		}
	}
	return false
}

func unknownParameter(name string, known []string) *Problem {
	if len(known) == 0 {
		return problem("unknown-parameter", "There is no parameter "+strictjson.Quote(name)+" here. This path takes no parameters.")
	}
	return problem("unknown-parameter", "There is no parameter "+strictjson.Quote(name)+" here. Known parameters: "+strings.Join(known, ", ")+".")
}

func parameterProblem(name, detail string) *Problem {
	return problem("malformed-query", "Fix the parameters listed in errors.").
		with("errors", []map[string]any{{"parameter": name, "detail": detail}})
}

// ages matches an age in days, hours, minutes and seconds, in this order and each
// at most once.
var ages = regexp.MustCompile(`^(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?$`)

// parseSince reads a time in the past: an age ("10m", "24h", "7d", "1h30m") or a
// time (RFC 3339). Its errors are problems.
func parseSince(s string, now time.Time) (time.Time, error) {
	const longest = 100 * 365 * 24 * 60 * 60 // seconds; what fits a time.Duration
	if match := ages.FindStringSubmatch(s); match != nil && s != "" {
		var seconds int64
		for i, unit := range []int64{24 * 60 * 60, 60 * 60, 60, 1} {
			n, _ := strconv.ParseInt("0"+match[i+1], 10, 64) // nine digits at most
			seconds += n * unit
		}
		if seconds > longest {
			return time.Time{}, parameterProblem("since", "must be at most a hundred years ago")
		}
		return sinceEpoch(now.Add(-time.Duration(seconds) * time.Second)), nil
	}
	t, ok := cloudevents.ParseTime(s)
	switch {
	case !ok:
		return time.Time{}, parameterProblem("since", "must be an age (90s, 10m, 24h, 7d, 1h30m) or a time (RFC 3339; write %2B for a plus)")
	case t.After(now):
		return time.Time{}, parameterProblem("since", "must not be in the future")
	}
	return sinceEpoch(t), nil
}

// sinceEpoch returns t, or the Unix epoch if t is earlier. No event is older, and
// the zero time would mean no since.
func sinceEpoch(t time.Time) time.Time {
	if epoch := time.Unix(0, 0).UTC(); t.Before(epoch) {
		return epoch
	}
	return t
}

// parseList splits a list at its commas; an empty text is an empty list.
func parseList(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}
