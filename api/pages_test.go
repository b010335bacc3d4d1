package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"regexp"
	"strings"
	"testing"
)

var linked = regexp.MustCompile(`(?:href|src)="([^"]+)"`)

// Every page is there, leads to pages that are there, and loads nothing from
// elsewhere.
func TestPagesAndAllThatTheyLinkTo(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	seen := make(map[string]bool)
	for _, path := range r.server.site.Paths() {
		got := r.do(t, "GET", path, "", "")
		policy := got.header.Get("Content-Security-Policy")
		if got.status != 200 || !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") ||
			!strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: status %d, %v", path, got.status, got.header)
		}
		if strings.Contains(got.body, "<script>") || strings.Contains(got.body, " style=") || strings.Contains(got.body, "onclick") {
			if !strings.Contains(got.body, "&lt;script&gt;") {
				t.Errorf("%s has a script or a style in it, which its policy forbids", path)
			}
		}
		for _, match := range linked.FindAllStringSubmatch(got.body, -1) {
			target, _, _ := strings.Cut(match[1], "#")
			switch {
			case strings.HasPrefix(target, "https://"):
				if strings.HasPrefix(match[0], "src") {
					t.Errorf("%s loads %s", path, target)
				}
			case strings.HasPrefix(target, "data:"), target == "", seen[target]:
			default:
				seen[target] = true
				if got := r.do(t, "GET", target, "", ""); got.status != 200 {
					t.Errorf("%s links to %s, which is answered with %d", path, target, got.status)
				}
			}
		}
	}
	if len(seen) < 20 {
		t.Errorf("the pages lead to %d places", len(seen))
	}
	for name := range kinds {
		if !seen["/problems/"+name] {
			t.Errorf("no page leads to the problem %s", name)
		}
	}
}

func TestHomeLeadsToTheGuide(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	got := r.do(t, "GET", "/", "", "")
	if got.status != 200 || !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
		t.Fatalf("GET / is answered with %d, %s", got.status, got.header.Get("Content-Type"))
	}
	for _, target := range []string{"/docs", "/docs/reference", "/console", "/openapi.json"} {
		if !strings.Contains(got.body, `href="`+target+`"`) {
			t.Errorf("GET / does not link to %s", target)
		}
	}
	r.do(t, "POST", "/", "", "{}").refused(t, "POST /", 405, "method-not-allowed")
}

func TestAttack83PagesAreNotFramedAndReflectNothing(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	const mark = "<script>alert(7)</script>"
	for _, path := range []string{"/docs", "/console", "/problems/not-found", "/assets/console.js", "/docs/reference/swagger-ui.css"} {
		got := r.do(t, "GET", path+"?q="+strings.NewReplacer("<", "%3C", ">", "%3E").Replace(mark), "", "")
		if got.status != 200 || strings.Contains(got.body, "alert(7)") || !strings.Contains(got.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") ||
			got.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: status %d, %v", path, got.status, got.header)
		}
		if strings.Contains(got.body, "localStorage") || strings.Contains(got.body, "sessionStorage") || strings.Contains(got.body, "document.cookie") {
			if !strings.HasPrefix(path, "/docs/reference/") {
				t.Errorf("%s keeps something in the browser", path)
			}
		}
	}
	for _, path := range []string{"/docs/", "/docs/nothing", "/assets/", "/assets/../layout.html", "/assets/none.js", "/docs/reference/swagger-ui.js.map", "/samples/stream.sh"} {
		r.do(t, "GET", path, "", "").refused(t, path, 404, "not-found")
	}
	r.do(t, "POST", "/docs", "", "").refused(t, "POST /docs", 405, "method-not-allowed")
	if got := r.do(t, "HEAD", "/docs", "", ""); got.status != 200 || got.body != "" {
		t.Errorf("HEAD /docs: %d with %d bytes", got.status, len(got.body))
	}
	// A page of this server may have a key, which a person types in. Others may not.
	own := "http://" + strings.TrimPrefix(r.http.URL, "http://")
	if got := r.do(t, "GET", "/v1/me", r.a, "", "Origin", own); got.status != 200 {
		t.Errorf("the console's request: %d %s", got.status, got.body)
	}
	for _, origin := range []string{"https://shop.example", own + "0", "http://evil." + strings.TrimPrefix(own, "http://"), "null"} {
		r.do(t, "GET", "/v1/me", r.a, "", "Origin", origin).refused(t, origin, 403, "secret-key-in-browser")
	}
}
