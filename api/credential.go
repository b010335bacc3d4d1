package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/filter"
)

// A caller is the bearer of a key, or of a token minted with a key.
type caller struct {
	*auth.Key
	hash  auth.Hash   // of the secret that was sent; zero with a token
	grant *auth.Grant // what the token says; nil with a key
}

// May reports whether the caller has a scope. A token only reads.
func (c *caller) May(scope string) bool {
	reads := scope == auth.Stream || scope == auth.History || scope == auth.Me
	return c.Key.May(scope) && (c.grant == nil || reads)
}

// clauses returns the clauses that every event that the caller sees matches.
func (c *caller) clauses() []filter.Clause {
	clauses := []filter.Clause{c.Clause}
	if c.grant != nil {
		clauses = append(clauses, c.grant.Clause)
	}
	return clauses
}

// ends returns when the caller's credential expires; zero: never.
func (c *caller) ends() time.Time {
	if c.grant == nil {
		return c.Ends(c.hash)
	}
	if c.Expires.IsZero() || c.grant.Expires.Before(c.Expires) {
		return c.grant.Expires
	}
	return c.Expires
}

// again returns the caller with the key's present state. Its errors are those of
// package auth.
func (c *caller) again(ctx context.Context, keyring *auth.Keyring) (*caller, error) {
	var key *auth.Key
	var err error
	if c.grant != nil {
		key, err = keyring.VerifyGrant(ctx, c.grant)
	} else {
		key, err = keyring.Recognise(ctx, c.hash)
	}
	if err != nil {
		return nil, err
	}
	return &caller{key, c.hash, c.grant}, nil
}

// authenticate returns the caller of a request, who must have the scope, and
// charges the request to the key's limits.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request, scope string) (*caller, error) {
	c, err := s.authorize(w, r, scope)
	if err != nil {
		return nil, err
	}
	return c, s.charge(w, r, c, s.cost(c, policy.Requests, 1))
}

// authorize is authenticate for a request whose handler charges it.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request, scope string) (*caller, error) {
	c, err := s.identify(w, r)
	if err != nil {
		return nil, err
	}
	return c, c.admit(scope)
}

// admit returns nil if the caller has the scope.
func (c *caller) admit(scope string) error {
	switch {
	case c.May(scope):
		return nil
	case slices.Contains(c.Kind.Scopes(), scope):
		return problem("scope-missing", "Use a key that has the missing scope.").
			with("missing", []string{scope}).with("granted", c.Granted())
	}
	return problem("wrong-role", "Use "+roleFor(scope)+".").with("role", role(c.Kind))
}

// identify returns the caller of a request from its header, with any scope. From
// then on a refusal is charged to this caller.
func (s *Server) identify(w http.ResponseWriter, r *http.Request) (*caller, error) {
	text, err := bearer(r.Header)
	if err != nil {
		return nil, err
	}
	c, err := s.recognise(r, text)
	return remember(w, c), err
}

// remember notes the caller in the answer.
func remember(w http.ResponseWriter, c *caller) *caller {
	if a, ok := w.(*answer); ok {
		a.caller = c
	}
	return c
}

// recognise returns the caller with this key or token. A key is for servers only, a
// token for the pages of one origin.
func (s *Server) recognise(r *http.Request, text string) (*caller, error) {
	origins := r.Header["Origin"]
	if len(origins) > 1 {
		return nil, problem("origin-not-allowed", "Send exactly one Origin header.")
	}
	if s.Tokens == nil || !isToken(text) {
		key, hash, err := s.Keyring.Authenticate(r.Context(), text)
		switch {
		case err != nil:
			return nil, err
		case len(origins) > 0 && !ownPage(origins[0], r):
			return nil, problem("secret-key-in-browser", "Keep this key on your servers. If a page has contained it, replace it. Give pages a token: POST /v1/tokens.")
		}
		return &caller{Key: key, hash: hash}, nil
	}
	key, grant, err := s.Keyring.AuthenticateToken(r.Context(), s.Tokens, text)
	if err != nil {
		return nil, err
	}
	c := &caller{Key: key, grant: grant}
	if len(origins) > 0 && !c.mayBeAt(origins[0]) {
		return nil, problem("origin-not-allowed", "Mint a token for the origin of this page.")
	}
	return c, nil
}

// ownPage reports whether an origin is this server's own. Users type keys into its
// console.
func ownPage(origin string, r *http.Request) bool {
	_, host, found := strings.Cut(origin, "://")
	return found && auth.ValidOrigin(origin) && strings.EqualFold(host, r.Host)
}

// isToken tells a token from a key by its form alone.
func isToken(text string) bool { return strings.Contains(text, ".") }

// mayBeAt reports whether the token is for pages of this origin.
func (c *caller) mayBeAt(origin string) bool {
	if c.grant.Origin != "" {
		return origin == c.grant.Origin
	}
	return len(c.Origins) > 0 && c.AllowsOrigin(origin)
}

// bearer returns the credential of the header Authorization (RFC 6750, 2.1).
func bearer(h http.Header) (string, error) {
	const how = `Send the key in one header: "Authorization: Bearer <key>".`
	fields := h["Authorization"]
	if len(fields) == 0 {
		return "", problem("unauthenticated", how)
	}
	if len(fields) > 1 {
		return "", problem("ambiguous-credentials", how)
	}
	scheme, secret, _ := strings.Cut(fields[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", problem("unauthenticated", how)
	}
	if secret == "" {
		return "", problem("unauthenticated", how+" The key is empty.")
	}
	if strings.ContainsAny(secret, " ,\t") {
		return "", problem("ambiguous-credentials", how+" Send nothing else there, not even a second space.")
	}
	return secret, nil
}

func role(k auth.Kind) string {
	switch k {
	case auth.Pub:
		return "publisher"
	case auth.Adm:
		return "admin"
	}
	return "merchant"
}

func roleFor(scope string) string {
	switch scope {
	case auth.Publish:
		return "a publisher's key"
	case auth.Admin:
		return "an admin's key"
	}
	return "a merchant's key"
}
