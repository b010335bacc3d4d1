package api

import (
	"net/http"
	"strings"

	"github.com/paylogic/pushserver/api/web"
)

// newSite returns the pages for people.
func newSite(demo bool) (*web.Site, error) {
	problems := make([]web.Problem, 0, len(kinds))
	for name, k := range kinds {
		problems = append(problems, web.Problem{Name: name, Status: k.status, Title: k.title})
	}
	return web.New(problems, demo)
}

// servePage answers a request for a page, and reports whether there is one.
func (s *Server) servePage(w http.ResponseWriter, r *http.Request) (bool, error) {
	if s.demo != nil && strings.HasPrefix(r.URL.Path, "/demo/") && !s.site.Has(r.URL.Path) {
		return true, s.demo.serve(w, r)
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return s.site.Serve(w, r), nil
	}
	if s.site.Has(r.URL.Path) {
		return true, problem("method-not-allowed", "Use one of the methods in the header Allow.").header("Allow", "GET, HEAD")
	}
	return false, nil
}
