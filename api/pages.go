package api

import (
	"net/http"

	"github.com/paylogic/pushserver/api/web"
)

// newSite returns the pages for people.
func newSite() (*web.Site, error) {
	problems := make([]web.Problem, 0, len(kinds))
	for name, k := range kinds {
		problems = append(problems, web.Problem{Name: name, Status: k.status, Title: k.title})
	}
	return web.New(problems)
}

// servePage answers a request for a page, and reports whether there is one.
func (s *Server) servePage(w http.ResponseWriter, r *http.Request) (bool, error) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return s.site.Serve(w, r), nil
	}
	if s.site.Has(r.URL.Path) {
		return true, problem("method-not-allowed", "Use one of the methods in the header Allow.").header("Allow", "GET, HEAD")
	}
	return false, nil
}
