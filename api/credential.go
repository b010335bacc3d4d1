package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/paylogic/pushserver/auth"
)

// authenticate returns the key that the request carries, if it may do what
// scope names.
func (s *Server) authenticate(r *http.Request, scope string) (*auth.Key, error) {
	key, err := s.identify(r)
	switch {
	case err != nil:
		return nil, err
	case key.May(scope):
		return key, nil
	case slices.Contains(key.Kind.Scopes(), scope):
		return nil, problem("scope-missing", "Use a key with the scope that is missing.").
			with("missing", []string{scope}).with("granted", key.Granted())
	}
	return nil, problem("wrong-role", "Use "+roleFor(scope)+".").with("role", role(key.Kind))
}

// identify returns the key that the request carries, whatever it may do.
func (s *Server) identify(r *http.Request) (*auth.Key, error) {
	secret, err := bearer(r.Header)
	if err != nil {
		return nil, err
	}
	key, err := s.keyring.Authenticate(r.Context(), secret)
	switch {
	case err != nil:
		return nil, err
	case r.Header.Get("Origin") != "":
		return nil, problem("secret-key-in-browser", "Keep this key on your servers, and replace it if a page had it.")
	}
	return key, nil
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
		return "", problem("ambiguous-credentials", how+" Nothing else belongs there, no second space either.")
	}
	return secret, nil
}

// role is what a kind of key is for, in a word.
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
