package api

import (
	"net/http"
	"slices"

	"github.com/paylogic/pushserver/auth"
)

// crossOrigin are the endpoints that pages of other origins may call.
var crossOrigin = []string{"/stream", "/v1/stream", "/v1/events", "/v1/state", "/v1/me", "/v1/event-types", "/v1/event-types/{type}"}

// allowOrigin lets the page read the answer (Fetch Standard, 3.2). Call it if the
// page's origin is allowed, or if the answer contains nothing secret. Cookies are
// not credentials here, so they are never allowed.
func allowOrigin(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if !slices.Contains(h["Vary"], "Authorization, Origin") {
		h.Set("Vary", "Authorization, Origin")
	}
	if origin := r.Header.Get("Origin"); auth.ValidOrigin(origin) {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", "X-Request-Id, Retry-After, RateLimit, RateLimit-Policy")
	}
}

// answerOptions answers OPTIONS. A preflight has no credentials, so it succeeds for
// every origin. The request that follows is checked.
func answerOptions(w http.ResponseWriter, r *http.Request, e endpoint) {
	h := w.Header()
	h.Set("Allow", e.methods())
	if r.Header.Get("Access-Control-Request-Method") != "" && slices.Contains(crossOrigin, r.Pattern) {
		allowOrigin(w, r)
		h.Set("Access-Control-Allow-Methods", http.MethodGet)
		h.Set("Access-Control-Allow-Headers", "Authorization, Last-Event-ID, Cache-Control, X-Requested-With, Content-Type")
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}
