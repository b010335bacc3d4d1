package api

import (
	"net/http"
	"strings"

	"github.com/paylogic/pushserver/api/describe"
	"github.com/paylogic/pushserver/api/web"
)

// describeYAML answers GET /openapi.yaml.
func (s *Server) describeYAML(w http.ResponseWriter, r *http.Request) error {
	return s.describe(w, r, "application/yaml", func(d *describe.Document) []byte { return d.YAML })
}

// describeJSON answers GET /openapi.json.
func (s *Server) describeJSON(w http.ResponseWriter, r *http.Request) error {
	return s.describe(w, r, "application/json", func(d *describe.Document) []byte { return d.JSON })
}

// describe31 answers GET /openapi-3.1.json.
func (s *Server) describe31(w http.ResponseWriter, r *http.Request) error {
	return s.describe(w, r, "application/json", func(d *describe.Document) []byte { return d.JSON31 })
}

// describe answers with the composed description. With a credential, it has only the
// types that the caller may know.
func (s *Server) describe(w http.ResponseWriter, r *http.Request, contentType string, form func(*describe.Document) []byte) error {
	authorized := len(r.Header["Authorization"]) > 0
	if _, err := s.query(r); err != nil {
		return err
	}
	visible := func(string) bool { return true }
	w.Header().Set("Access-Control-Allow-Origin", "*") // without a key it is public
	if authorized {
		w.Header().Del("Access-Control-Allow-Origin")
		key, err := s.identify(w, r)
		if err != nil {
			return err
		}
		allowOrigin(w, r)
		visible = func(typ string) bool { return mayKnow(key, typ) }
	}
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(form(s.composer.Describe(visible))) // an error means that the client left
	return nil
}

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
