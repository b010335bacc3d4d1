package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browserLimit bounds what a test does in a browser.
const browserLimit = 90 * time.Second

// A tab is one window of a Chromium. It notes the requests and the complaints of its
// page.
type tab struct {
	context.Context
	mu         sync.Mutex // guards the following
	requests   []string   // URLs
	complaints []string
}

// openBrowser starts a Chromium with one tab, until the test ends.
func openBrowser(t *testing.T) *tab {
	t.Helper()
	dir, err := os.MkdirTemp("", "pushserver-browser-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // its processes write until they have all ended
		for range 100 {
			if os.RemoveAll(dir) == nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(dir),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-background-networking", true))
	ctx, cancel := context.WithTimeout(t.Context(), browserLimit)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	return newTab(t, ctx)
}

// another opens one more tab in the same browser.
func (b *tab) another(t *testing.T) *tab { return newTab(t, b.Context) }

func newTab(t *testing.T, parent context.Context) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent)
	t.Cleanup(cancel)
	b := &tab{Context: ctx}
	chromedp.ListenTarget(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			b.requests = append(b.requests, e.Request.URL)
		case *runtime.EventExceptionThrown:
			b.complaints = append(b.complaints, e.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.APITypeError {
				b.complaints = append(b.complaints, fmt.Sprint(e.Args))
			}
		}
	})
	b.do(t, network.Enable())
	return b
}

func (b *tab) do(t *testing.T, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(b, actions...); err != nil {
		t.Fatalf("%v; the page complains of %q", err, b.complaints)
	}
}

// until waits until an expression is true in the page.
func (b *tab) until(t *testing.T, expression string) {
	t.Helper()
	var last bool
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(30 * time.Millisecond) {
		if err := chromedp.Run(b, chromedp.Evaluate("!!("+expression+")", &last)); err == nil && last {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("%s does not become true: %v; the page complains of %q", expression, err, b.complaints)
		}
	}
}

// text returns the value of an expression.
func (b *tab) text(t *testing.T, expression string) (s string) {
	t.Helper()
	b.do(t, chromedp.Evaluate("String("+expression+")", &s))
	return s
}

// foreign returns the requests that went anywhere else than to the server.
func (b *tab) foreign(server string) (urls []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, u := range b.requests {
		if !strings.HasPrefix(u, server) && !strings.HasPrefix(u, "data:") && !strings.HasPrefix(u, "about:") {
			urls = append(urls, u)
		}
	}
	return urls
}

// accessible runs axe-core and returns the serious findings.
func (b *tab) accessible(t *testing.T) (findings []string) {
	t.Helper()
	axe, err := os.ReadFile(filepath.Join("testdata", "foreign", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	var result string
	b.do(t,
		chromedp.Evaluate(string(axe)+";0", nil),
		chromedp.Evaluate(`axe.run(document, {resultTypes: ["violations"]}).then((r) => JSON.stringify(r.violations.map((v) =>
			({id: v.id, impact: v.impact, nodes: v.nodes.map((n) => n.target.join(" ") + ": " + n.failureSummary)}))))`,
			&result, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }),
	)
	var violations []struct {
		ID, Impact string
		Nodes      []string
	}
	if err := json.Unmarshal([]byte(result), &violations); err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		if v.Impact == "serious" || v.Impact == "critical" {
			findings = append(findings, fmt.Sprintf("%s (%s): %q", v.ID, v.Impact, v.Nodes))
		}
	}
	return findings
}

// scheme sets the colour scheme that the page sees: light or dark.
func scheme(name string) chromedp.Action {
	return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}})
}

// keep writes a screenshot. go test -artifacts keeps it.
func (b *tab) keep(t *testing.T, name string) {
	t.Helper()
	var picture []byte
	b.do(t, page.BringToFront(), chromedp.FullScreenshot(&picture, 100)) // a tab in the background is not painted
	if err := os.WriteFile(filepath.Join(t.ArtifactDir(), name+".png"), picture, 0o600); err != nil {
		t.Error(err)
	}
}
