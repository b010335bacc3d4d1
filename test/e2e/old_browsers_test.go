package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/paylogic/pushserver/test/stand"
)

// oldClients are scripts by which pages receive events without EventSource: what a page
// loads, and what it runs.
var oldClients = map[string]struct{ head, script string }{
	"Yaffle's polyfill": {
		`<script src="/node_modules/event-source-polyfill/src/eventsource.js"></script>`,
		`const s = new EventSourcePolyfill(url + "&access_token=" + token); s.addEventListener("a.b", (e) => take(e.data));
		 s.addEventListener("stream.open", () => { window.opened = true; });`,
	},
	"fetch-event-source": {"",
		`import("/node_modules/@microsoft/fetch-event-source/lib/esm/index.js").then(({ fetchEventSource }) =>
		  fetchEventSource(url, { headers: { Authorization: "Bearer " + token }, openWhenHidden: true,
		    onmessage: (e) => { if (e.event === "stream.open") window.opened = true; if (e.event === "a.b") take(e.data); if (!e.event) window.empty = true; } }));`,
	},
	"remy's EventSource.js": {
		`<script src="/remy.js"></script>`,
		`const s = new EventSource(url + "&access_token=" + token); s.addEventListener("a.b", (e) => take(e.data));
		 s.addEventListener("stream.open", () => { window.opened = true; });`,
	},
	"jquery.eventsource": {
		`<script src="/jquery.eventsource.js"></script>`,
		`pollEventSource({ url: url + "&names=off&poll=1&access_token=" + token, message: take }); window.opened = true;`,
	},
}

// heartbeat is the interval of heartbeats of a dev server.
const heartbeat = 15 * time.Second

func TestOldBrowsersReceiveEverything(t *testing.T) {
	intro := stand.Dev(t)
	const events = 20
	for name, client := range oldClients {
		t.Run(name, func(t *testing.T) {
			var page string
			files := http.FileServer(http.Dir("testdata/foreign"))
			shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/" {
					if !strings.Contains(r.URL.Path[1:], ".") {
						r.URL.Path += ".js" // modules omit it when they import each other
					}
					files.ServeHTTP(w, r)
					return
				}
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				fmt.Fprint(w, page)
			}))
			defer shop.Close()
			page = `<!doctype html><script>delete window.EventSource; window.got = [];</script>` + client.head +
				`<script>const token = "` + mintToken(t, intro, shop.URL) + `", url = "` + intro.URL + `/v1/stream?types=a.*";
				const take = (data) => window.got.push(JSON.parse(data).data.text);` + client.script + `</script>`
			b := openBrowser(t)
			b.do(t, chromedp.Navigate(shop.URL))
			b.until(t, "window.opened")
			if name == "jquery.eventsource" {
				// It receives only what is published after its first answer.
				for b.text(t, "window.got.length") == "0" {
					publishText(t, intro, "-1")
					time.Sleep(300 * time.Millisecond)
				}
				b.do(t, chromedp.Evaluate("window.got = []; 0", nil))
			}
			for i := range events {
				publishText(t, intro, fmt.Sprint(i))
			}
			b.until(t, fmt.Sprintf("window.got.length >= %d", events))
			for i := range events {
				want := fmt.Sprintf("größer ☂\nZeile %d", i)
				if got := b.text(t, fmt.Sprintf("window.got[%d]", i)); got != want {
					t.Errorf("event %d is %q, want %q", i, got, want)
				}
			}
			if name == "fetch-event-source" {
				time.Sleep(heartbeat + time.Second) // it reports what no other client does
			}
			if b.text(t, "window.empty") == "true" {
				t.Error("it heard an empty message")
			}
		})
	}
}

// publishText publishes an event with several lines and more than ASCII.
func publishText(t *testing.T, intro stand.DevServer, n string) {
	t.Helper()
	data, err := json.Marshal(map[string]string{"text": "größer ☂\nZeile " + n})
	if err != nil {
		t.Fatal(err)
	}
	code, _, errs := stand.Run(t, "", "publish", "--url", intro.URL, "--key", intro.PublisherKey, "--merchant", "acme", "--type", "a.b", string(data))
	if code != 0 {
		t.Fatal(errs)
	}
}
