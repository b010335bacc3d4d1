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

// answerPage answers a request that no endpoint of the API matches: with a page,
// if there is one.
func (s *Server) answerPage(w http.ResponseWriter, r *http.Request) {
	var err error
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case s.demo != nil && strings.HasPrefix(r.URL.Path, "/demo/") && !s.site.Has(r.URL.Path):
		err = s.demo.serve(w, r)
	case reads && s.site.Serve(w, r):
	case !reads && s.site.Has(r.URL.Path):
		err = problem("method-not-allowed", "Use one of the methods in the header Allow.").header("Allow", "GET, HEAD")
	default:
		err = problem("not-found", "Check the path. /openapi.yaml describes all paths.")
	}
	if err != nil {
		s.refuse(w.(*answer), r, err)
	}
}
