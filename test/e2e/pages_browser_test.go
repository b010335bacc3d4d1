package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/paylogic/pushserver/test/stand"
)

func TestPagesAreAccessibleAndAskNobodyElse(t *testing.T) {
	intro := stand.Dev(t)
	b := openBrowser(t)
	for _, path := range []string{
		"/docs", "/docs/resume", "/docs/filters", "/docs/browser", "/docs/limits", "/docs/errors", "/docs/publishing", "/docs/redis",
		"/problems/quota-exceeded", "/console",
	} {
		for _, look := range []string{"light", "dark"} {
			b.do(t, scheme(look), chromedp.EmulateViewport(1200, 900), chromedp.Navigate(intro.URL+path), chromedp.WaitReady("main"))
			for _, finding := range b.accessible(t) {
				t.Errorf("%s, %s: %s", path, look, finding)
			}
			name := strings.ReplaceAll(strings.Trim(path, "/"), "/", "-")
			b.keep(t, name+"-"+look)
			b.do(t, chromedp.EmulateViewport(360, 740))
			if wide := b.text(t, "document.documentElement.scrollWidth > innerWidth"); wide == "true" {
				t.Errorf("%s is wider than a phone", path)
			}
			if look == "light" {
				b.keep(t, name+"-phone")
			}
		}
	}
	b.do(t, scheme("light"), chromedp.EmulateViewport(1200, 900), chromedp.Navigate(intro.URL+"/docs/reference"))
	b.until(t, `document.querySelectorAll(".opblock").length > 20`)
	b.keep(t, "reference")
	if urls := b.foreign(intro.URL); len(urls) > 0 {
		t.Errorf("the pages asked for %q", urls)
	}
	if len(b.complaints) > 0 {
		t.Errorf("the pages complain of %q", b.complaints)
	}
}

func TestConsole(t *testing.T) {
	intro := stand.Dev(t)
	b := openBrowser(t)
	b.do(t, chromedp.Navigate(intro.URL+"/console"), chromedp.SendKeys("#key", "ps_live_nonsense"), chromedp.Click("#entry button"))
	b.until(t, `document.getElementById("said").className === "bad"`)
	b.do(t, chromedp.Evaluate(`document.getElementById("key").value = ""`, nil), chromedp.SendKeys("#key", intro.TestKeys["acme"]), chromedp.Click("#entry button"))
	b.until(t, `document.getElementById("facts").textContent.includes("acme")`)
	b.until(t, `document.getElementById("key").value === ""`)

	b.do(t, chromedp.SendKeys("#filter", "data.amount >"))
	b.until(t, `document.getElementById("verdict").className === "bad"`)
	b.do(t, chromedp.SendKeys("#filter", "= 0 || true"), chromedp.SendKeys("#types", "payment.*"))
	b.until(t, `document.getElementById("verdict").className === "good"`)
	if curl := b.text(t, `document.getElementById("curl").textContent`); !strings.Contains(curl, "'types=payment.*'") || strings.Contains(curl, "ps_test_") {
		t.Errorf("the curl line is %s", curl)
	}

	b.do(t, chromedp.Click("#open"))
	b.until(t, `document.getElementById("state").textContent === "open"`)
	b.do(t, chromedp.SetValue("#test-type", "payment.failed"), chromedp.Click("#test button"))
	b.until(t, `document.getElementById("events").textContent.includes('"livemode":false')`)
	b.until(t, `document.getElementById("connections").childElementCount === 1`)
	for _, look := range []string{"light", "dark"} {
		b.do(t, scheme(look))
		for _, finding := range b.accessible(t) {
			t.Errorf("in use, %s: %s", look, finding)
		}
		b.keep(t, "console-in-use-"+look)
	}

	b.do(t, chromedp.Click("#pause"), chromedp.Click("#test button"))
	b.until(t, `document.getElementById("pause").textContent === "Resume (1)"`)
	b.do(t, chromedp.Click("#pause"))
	b.until(t, `document.getElementById("events").textContent.split('"livemode":false').length === 3`)
	b.do(t, chromedp.Click("#connections button"))
	b.until(t, `document.getElementById("said").textContent.includes("connection_ended")`)
	if urls := b.foreign(intro.URL); len(urls) > 0 {
		t.Errorf("the console asked for %q", urls)
	}
}

func TestAttack53MarkupInAnEventIsShownAndNotRun(t *testing.T) {
	intro := stand.Dev(t)
	b := openBrowser(t)
	b.do(t, chromedp.Navigate(intro.URL+"/console"), chromedp.SendKeys("#key", intro.Keys["acme"]), chromedp.Click("#entry button"))
	b.until(t, `document.getElementById("facts").textContent.includes("acme")`)
	b.do(t, chromedp.Click("#open"))
	b.until(t, `document.getElementById("state").textContent === "open"`)
	const markup = `</script></pre><script>window.ran = 1</script><img src=x onerror="window.ran = 1"><a href="javascript:window.ran = 1">last</a>`
	data, err := json.Marshal(markup)
	if err != nil {
		t.Fatal(err)
	}
	code, _, errs := stand.Run(t, "", "publish", "--url", intro.URL, "--key", intro.PublisherKey, "--merchant", "acme",
		"--type", "a.b", "--subject", "<img src=x onerror=window.ran=1>", string(data))
	if code != 0 {
		t.Fatal(errs)
	}
	b.until(t, `document.getElementById("events").textContent.includes("last")`)
	if made := b.text(t, `String([window.ran, document.querySelectorAll("#events script, #events img, #events a[href^=javascript]").length])`); made != ",0" {
		t.Errorf("the markup became %s (what ran, elements)", made)
	}
	if len(b.complaints) > 0 {
		t.Errorf("the page complains of %q", b.complaints)
	}
}
