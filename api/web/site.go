package web

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/swaggest/swgui/v5/static"
	"github.com/vearutop/statigz"
)

// contentPolicy lets a page use only this server: no inline script or style, and no
// frame around a page.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed layout.html pages assets samples
var files embed.FS

// A Problem has a page that explains it.
type Problem struct {
	Name   string // the last part of its type
	Status int
	Title  string
}

// A Site answers requests for pages and their assets.
type Site struct {
	pages   map[string][]byte // by path
	assets  http.Handler
	swagger http.Handler
}

// A page is the content of the layout.
type page struct {
	Path, Title, Section string
	Body                 template.HTML
	Chapters             []chapter
	Scripts, Styles      []string
	Module               bool // its scripts are modules
}

// A chapter is a page of the guide.
type chapter struct{ Path, Title, file string }

var guide = []chapter{
	{"/docs", "First stream", "start"},
	{"/docs/resume", "Resuming", "resume"},
	{"/docs/filters", "Filters", "filters"},
	{"/docs/browser", "Pages in a browser", "browser"},
	{"/docs/limits", "Limits", "limits"},
	{"/docs/errors", "Errors", "errors"},
	{"/docs/publishing", "Publishing", "publishing"},
	{"/docs/redis", "Through Redis", "redis"},
}

// New renders the pages: the guide, one page per problem, and with demo the two
// demo pages. It fails if a problem has no explanation.
func New(problems []Problem, demo bool) (*Site, error) {
	problems = slices.SortedFunc(slices.Values(problems), func(a, b Problem) int {
		return cmp.Or(a.Status-b.Status, strings.Compare(a.Name, b.Name))
	})
	templates, err := template.New("").Funcs(template.FuncMap{
		"sample":   sample,
		"problems": func() []Problem { return problems },
	}).ParseFS(files, "layout.html", "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	s := &Site{
		pages: make(map[string][]byte), assets: http.FileServerFS(files),
		swagger: http.StripPrefix("/docs/reference/", statigz.FileServer(static.FS)),
	}
	add := func(p page, file string, data any) {
		var body, whole bytes.Buffer
		if err == nil {
			err = templates.ExecuteTemplate(&body, file+".html", data)
		}
		p.Body = template.HTML(body.String()) // rendered by html/template
		if err == nil {
			err = templates.ExecuteTemplate(&whole, "layout.html", p)
		}
		s.pages[p.Path] = whole.Bytes()
	}
	add(page{Path: "/", Title: "Home"}, "home", nil)
	for _, c := range guide {
		add(page{Path: c.Path, Title: c.Title, Section: "docs", Chapters: guide}, c.file, nil)
	}
	for _, p := range problems {
		e, ok := explanations[p.Name]
		if !ok {
			return nil, fmt.Errorf("web: the problem %s has no explanation", p.Name)
		}
		add(page{Path: "/problems/" + p.Name, Title: p.Title, Section: "docs", Chapters: guide}, "problem", struct {
			Problem
			explanation
			Passing bool
		}{p, e, p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable})
	}
	add(page{
		Path: "/docs/reference", Title: "Reference", Section: "reference",
		Scripts: []string{"/docs/reference/swagger-ui-bundle.js", "/assets/reference.js"},
		Styles:  []string{"/docs/reference/swagger-ui.css", "/assets/reference.css"},
	}, "reference", nil)
	add(page{Path: "/console", Title: "Console", Section: "console", Scripts: []string{"/assets/console.js"}, Module: true}, "console", nil)
	if demo {
		for name, title := range map[string]string{"tickets": "Tickets", "seats": "Seats"} {
			add(page{Path: "/demo/" + name, Title: title, Section: "demo", Scripts: []string{"/assets/demo.js"}, Module: true}, name, nil)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	return s, nil
}

// sample shows a file from samples. The tests run these files.
func sample(name string) (template.HTML, error) {
	text, err := files.ReadFile("samples/" + name)
	if err != nil {
		return "", err
	}
	language := map[string]string{".sh": "Shell", ".js": "JavaScript", ".py": "Python", ".go": "Go", ".html": "HTML", ".php": "PHP", ".acl": "Redis ACL"}[path.Ext(name)]
	return template.HTML(fmt.Sprintf("<figure><figcaption>%s</figcaption><pre tabindex=\"0\"><code>%s</code></pre></figure>",
		language, template.HTMLEscapeString(strings.TrimSpace(string(text))))), nil
}

// Serve answers a request for a page or an asset, and reports whether the path
// exists.
func (s *Site) Serve(w http.ResponseWriter, r *http.Request) bool {
	text, isPage := s.pages[r.URL.Path]
	if r.URL.Path == "/client.js" {
		r = r.Clone(r.Context())
		r.URL.Path = "/assets/client.js"
	}
	asset := !isPage && strings.HasPrefix(r.URL.Path, "/assets/") && s.has(r.URL.Path)
	swagger := strings.HasPrefix(r.URL.Path, "/docs/reference/") && slices.Contains(swaggerFiles, path.Base(r.URL.Path)) &&
		path.Dir(r.URL.Path) == "/docs/reference"
	if !isPage && !asset && !swagger {
		return false
	}
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	switch {
	case isPage:
		h.Set("Content-Type", "text/html; charset=utf-8")
		if r.Method != http.MethodHead {
			_, _ = w.Write(text) // an error means that the client left
		}
	case asset:
		s.assets.ServeHTTP(w, r)
	default:
		s.swagger.ServeHTTP(w, r)
	}
	return true
}

// swaggerFiles are the files of Swagger UI that the reference uses.
var swaggerFiles = []string{"swagger-ui-bundle.js", "swagger-ui.css"}

func (s *Site) has(name string) bool {
	f, err := files.Open(strings.TrimPrefix(name, "/"))
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	return err == nil && !info.IsDir()
}

// Has reports whether this path has a page.
func (s *Site) Has(name string) bool { return s.pages[name] != nil }

// Paths returns the paths of all pages, sorted.
func (s *Site) Paths() []string {
	var paths []string
	for p := range s.pages {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}
