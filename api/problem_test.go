package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/filter"
)

// wantProblem fails unless err is the problem of that name and status.
func wantProblem(t *testing.T, in string, err error, name string, status int) *Problem {
	t.Helper()
	p := problemOf(err)
	if p == nil || p.Name != name || p.Status != status {
		t.Fatalf("%.80q: got %v, want %s with status %d", in, err, name, status)
	}
	return p
}

// places returns what the errors of a problem point at.
func places(p *Problem, place string) []string {
	var out []string
	list, _ := p.Extra["errors"].([]map[string]any)
	for _, e := range list {
		out = append(out, fmt.Sprint(e[place]))
	}
	return out
}

func TestProblemDocumentSaysWhatWentWrong(t *testing.T) {
	w := httptest.NewRecorder()
	p := problem("scope-missing", "Ask for less.").with("missing", []string{"a"}).header("X-More", "1")
	writeProblem(w, httptest.NewRequest("GET", "/", nil), "req_1", p)
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"type": "/problems/scope-missing", "title": "The key lacks a scope", "status": 403.0,
		"detail": "Ask for less.", "request_id": "req_1",
	} {
		if got[key] != want {
			t.Errorf("%s: got %v, want %v", key, got[key], want)
		}
	}
	if fmt.Sprint(got["missing"]) != "[a]" || w.Code != 403 || w.Header().Get("X-More") != "1" ||
		w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %d %v %v", w.Code, w.Header(), got)
	}
}

func TestHeadGetsTheHeaderOfAProblemAlone(t *testing.T) {
	w := httptest.NewRecorder()
	writeProblem(w, httptest.NewRequest("HEAD", "/", nil), "req_1", problem("not-found", "Look elsewhere."))
	if w.Code != 404 || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "0" {
		t.Errorf("got %d, %d bytes, %v", w.Code, w.Body.Len(), w.Header())
	}
}

func TestUnauthorizedSaysHowToAuthenticate(t *testing.T) {
	const realm = `Bearer realm="pushserver"`
	for name, want := range map[string]string{
		"unauthenticated": realm,
		"invalid-token":   realm + `, error="invalid_token"`,
		"key-revoked":     realm + `, error="invalid_token"`,
		"key-expired":     realm + `, error="invalid_token"`,
		"wrong-role":      "",
	} {
		w := httptest.NewRecorder()
		writeProblem(w, httptest.NewRequest("GET", "/", nil), "req_1", problem(name, ""))
		if got := w.Header().Get("WWW-Authenticate"); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestErrorsOfOtherPackagesBecomeProblems(t *testing.T) {
	tests := []struct {
		err    error
		name   string
		status int
		retry  string
	}{
		{eventlog.ErrUnavailable, "store-unavailable", 503, "1"},
		{eventlog.ErrNotReplicated, "not-replicated", 503, "1"},
		{eventlog.ErrReused, "id-reused", 409, ""},
		{eventlog.ErrDamaged, "log-damaged", 500, ""},
		{streams.ErrDraining, "draining", 503, "1"},
		{auth.ErrMalformed, "invalid-token", 401, ""},
		{auth.ErrUnknown, "invalid-token", 401, ""},
		{auth.ErrRevoked, "key-revoked", 401, ""},
		{auth.ErrExpired, "key-expired", 401, ""},
		{auth.ErrUnavailable, "store-unavailable", 503, "1"},
		{&filter.Error{Part: "filter", Reason: "no", Line: 1, Column: 2}, "filter-invalid", 400, ""},
		{problem("not-found", ""), "not-found", 404, ""},
	}
	for _, tt := range tests {
		p := problemOf(fmt.Errorf("wrapped: %w", tt.err))
		if p == nil || p.Name != tt.name || p.Status != tt.status || p.Header.Get("Retry-After") != tt.retry {
			t.Errorf("%v: got %+v, want %s %d, Retry-After %q", tt.err, p, tt.name, tt.status, tt.retry)
		}
	}
	if p := problemOf(errors.New("secret")); p != nil {
		t.Errorf("an inner error became %v", p)
	}
	if p := problemOf(nil); p != nil {
		t.Errorf("no error became %v", p)
	}
}

func TestEveryProblemHasATitleAndAStatusOfAnError(t *testing.T) {
	for name, k := range kinds {
		if k.title == "" || http.StatusText(k.status) == "" || k.status < 400 {
			t.Errorf("%s: %+v", name, k)
		}
	}
}
