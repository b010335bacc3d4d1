package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/paylogic/pushserver/test/stand"
)

// offline takes a tab off the network, or back.
func (b *tab) offline(t *testing.T, off bool) {
	t.Helper()
	b.do(t, network.EmulateNetworkConditions(off, 0, -1, -1))
}

func (b *tab) asked() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.requests)
}

func TestDemoTickets(t *testing.T) {
	intro := stand.Dev(t)
	if resp, err := http.Post(intro.URL+"/demo/restock", "application/json", nil); err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	left := b("left")
	one := openBrowser(t)
	one.do(t, chromedp.Navigate(intro.URL+"/demo/tickets"))
	one.until(t, left+`.value === "40"`)
	two := one.another(t)
	two.do(t, chromedp.Navigate(intro.URL+"/demo/tickets"))
	two.until(t, left+`.value === "40"`)
	two.until(t, b("connection")+`.textContent === "connected"`)
	time.Sleep(300 * time.Millisecond) // until the page makes no more requests
	before, clicked := two.asked(), time.Now()
	one.do(t, chromedp.Click("#buy"))
	two.until(t, left+`.value === "39"`)
	if took := time.Since(clicked); took > time.Second {
		t.Errorf("the other window shows it after %s", took)
	}
	if n := two.asked() - before; n != 0 {
		t.Errorf("for that it made %d requests: %q", n, two.requests[before:])
	}
	two.until(t, b("took")+`.textContent.includes("ms")`)

	for range 6 { // over HTTP/1.1 a browser opens no more than six connections
		more := one.another(t)
		more.do(t, chromedp.Navigate(intro.URL+"/demo/tickets"))
		more.until(t, left+`.value === "39"`)
	}
	for _, look := range []string{"light", "dark"} {
		two.do(t, scheme(look))
		for _, finding := range two.accessible(t) {
			t.Errorf("%s: %s", look, finding)
		}
		two.do(t, chromedp.EmulateViewport(360, 740))
		two.keep(t, "tickets-phone-"+look)
		two.do(t, chromedp.EmulateViewport(1200, 800))
		two.keep(t, "tickets-"+look)
	}
	if urls := two.foreign(intro.URL); len(urls) > 0 {
		t.Errorf("the page asked for %q", urls)
	}
}

// b is the element of an id, in the page.
func b(id string) string { return `document.getElementById("` + id + `")` }

func TestDemoSeats(t *testing.T) {
	intro := stand.Dev(t)
	one := openBrowser(t)
	one.do(t, chromedp.Navigate(intro.URL+"/demo/seats"))
	one.until(t, b("connection")+`.textContent === "connected"`)
	two := one.another(t)
	two.do(t, chromedp.Navigate(intro.URL+"/demo/seats"))
	two.until(t, b("connection")+`.textContent === "connected"`)
	one.do(t, chromedp.Click("#B7"))
	one.until(t, b("B7")+`.className === "yours"`)
	two.until(t, b("B7")+`.className === "taken"`)
	two.do(t, chromedp.Click("#B7"))
	two.until(t, b("told")+`.textContent.includes("another buyer")`)

	two.offline(t, true)
	one.do(t, chromedp.Click("#C3"), chromedp.Click("#B7"))
	one.until(t, b("C3")+`.className === "yours" && `+b("B7")+`.className === "free"`)
	two.offline(t, false)
	two.until(t, b("C3")+`.className === "taken" && `+b("B7")+`.className === "free"`)
	late := one.another(t)
	late.do(t, chromedp.Navigate(intro.URL+"/demo/seats"))
	late.until(t, b("C3")+`.className === "taken"`) // from the snapshot
	for _, look := range []string{"light", "dark"} {
		one.do(t, scheme(look))
		for _, finding := range one.accessible(t) {
			t.Errorf("%s: %s", look, finding)
		}
		one.do(t, chromedp.EmulateViewport(360, 740))
		if wide := one.text(t, "document.documentElement.scrollWidth > innerWidth"); wide == "true" {
			t.Error("the page is wider than a phone")
		}
		one.keep(t, "seats-phone-"+look)
		one.do(t, chromedp.EmulateViewport(1200, 900))
		one.keep(t, "seats-"+look)
	}
	for path, status := range map[string]int{"/demo/seats/Z9": 404, "/demo/seats/A11": 404, "/demo/seats/A1": 415, "/demo/nothing": 404} {
		resp, err := http.Post(intro.URL+path, "text/plain", strings.NewReader("{}"))
		if err != nil || resp.StatusCode != status {
			t.Errorf("%s: %v %v, want %d", path, resp, err, status)
		}
	}
}

// A page that stays open while its server restarts receives what it missed. It needs
// no code for that.
func TestOpenPageOutlivesItsServer(t *testing.T) {
	dir := t.TempDir()
	address := stand.FreeAddress(t)
	flags := []string{"--data", dir, "--listen", address, "--demo", "--secret-file", secretFile(t)}
	server := stand.Serve(t, flags...)
	if resp, err := http.Post(server.URL+"/demo/restock", "application/json", nil); err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	page := openBrowser(t)
	page.do(t, chromedp.Navigate(server.URL+"/demo/tickets"))
	page.until(t, b("left")+`.value === "40"`)
	server.Terminate(30 * time.Second)
	server = stand.Serve(t, flags...)
	if resp, err := http.Post(server.URL+"/demo/buy", "application/json", nil); err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	page.until(t, b("left")+`.value === "39"`)
}
