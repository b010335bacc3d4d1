package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/paylogic/pushserver/internal/redistest"
	"github.com/paylogic/pushserver/streams/sse"
	"github.com/paylogic/pushserver/test/stand"
)

const intakeLimit = 60 * time.Second

// Each entry of the inbox is in the log exactly once and in order, although a gateway is
// killed half-way. A malformed entry does not stop the entries behind it.
func TestInboxSurvivesItsGateway(t *testing.T) {
	t.Parallel()
	const entries = 10_000
	c := redistest.Start(t)
	redis := strings.Join(c.Addrs(), ",")
	key := stand.CreateKey(t, "--redis", redis, "--kind", "live", "--merchant", "acme")
	first, second := stand.Serve(t, "--redis", redis), stand.Serve(t, "--redis", redis)
	inbox := c.Master("ps:inbox")
	for i := range entries {
		if i == 100 {
			inbox.Do("XADD", "ps:inbox", "*", "merchant", "acme", "type", "a.b", "data", "{nonsense")
		}
		inbox.Do("XADD", "ps:inbox", "*", "merchant", "acme", "type", "a.b", "id", fmt.Sprintf("e%05d", i), "data", fmt.Sprintf(`{"n":%d}`, i))
	}
	holder, other := first, second
	for deadline := time.Now().Add(intakeLimit); len(stand.History(t, second.URL, key)) < entries/4; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no gateway takes what is in the inbox")
		}
	}
	holder.Kill() // it may hold the lease: the other one must take over
	for deadline := time.Now().Add(intakeLimit); inbox.Do("XLEN", "ps:inbox").(int64) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%v are left in the inbox", inbox.Do("XLEN", "ps:inbox"))
		}
	}
	ids := stand.History(t, other.URL, key)
	if len(ids) != entries {
		t.Errorf("the log has %d events, want %d", len(ids), entries)
	}
	for i, id := range ids {
		if want := fmt.Sprintf("e%05d", i); id != want {
			t.Fatalf("event %d is %s, want %s", i, id, want)
		}
	}
	if _, out, _ := stand.Run(t, "", "inbox", "dead", "--redis", redis); !strings.Contains(out, "malformed-json") || !strings.Contains(out, "{nonsense") {
		t.Errorf("the dead letters are %q", out)
	}
	if code, out, errs := stand.Run(t, "", "publish", "--redis", redis, "--merchant", "acme", "--type", "a.b", "--id", "last", `{"n":1}`); code != 0 || !strings.Contains(out, "inbox_id") {
		t.Errorf("publish --redis printed %q and said %q", out, errs)
	}
	for deadline := time.Now().Add(intakeLimit); ; time.Sleep(20 * time.Millisecond) {
		if ids := stand.History(t, other.URL, key); ids[len(ids)-1] == "last" {
			break
		} else if time.Now().After(deadline) {
			t.Fatal("what was published by Redis does not arrive")
		}
	}
}

// A page and a service made for flask-sse work unchanged, through any node, and after
// a gateway was killed.
func TestPredecessorsPagesAndServices(t *testing.T) {
	t.Parallel()
	c := redistest.Start(t)
	redis := strings.Join(c.Addrs(), ",")
	stand.CreateKey(t, "--redis", redis, "--kind", "live", "--merchant", "acme")
	flags := []string{"--redis", redis, "--legacy-channels", "mychannel=acme,shop-*=acme"}
	first, second := stand.Serve(t, flags...), stand.Serve(t, flags...)
	ctx, cancel := context.WithTimeout(t.Context(), intakeLimit)
	defer cancel()
	listen := func(url, channel string) *sse.Decoder {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/stream?channel="+channel, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return sse.NewDecoder(bufio.NewReader(resp.Body))
	}
	page, shop := listen(second.URL, "mychannel"), listen(second.URL, "shop-7")
	nodes := c.Nodes()
	say := func(node int, channel, payload string) { nodes[node%len(nodes)].Do("PUBLISH", channel, payload) }
	await := func(d *sse.Decoder, marker string, say func()) sse.Event {
		t.Helper()
		got := make(chan sse.Event, 1)
		go func() {
			for {
				e, err := d.Next()
				if err != nil {
					return
				}
				if strings.Contains(string(e.Data), marker) {
					got <- e
					return
				}
			}
		}()
		for {
			say()
			select {
			case e := <-got:
				return e
			case <-time.After(300 * time.Millisecond): // pub/sub drops messages without a subscriber
			case <-ctx.Done():
				t.Fatalf("%s never arrives", marker)
			}
		}
	}
	for node := range nodes {
		marker := fmt.Sprintf("größer %d", node)
		e := await(page, marker, func() { say(node, "mychannel", `["myevent", {"message": "`+marker+`"}]`) })
		if e.Type != "myevent" || string(e.Data) != `{"message": "`+marker+`"}` {
			t.Errorf("by node %d it arrives as %s %s", node, e.Type, e.Data)
		}
	}
	say(0, "mychannel", "nonsense")
	e := await(shop, "two", func() { say(1, "shop-7", `{"data": "two\nlines", "type": "greeting"}`) })
	if e.Type != "greeting" || string(e.Data) != "two\nlines" {
		t.Errorf("the other format arrives as %s %q", e.Type, e.Data)
	}
	first.Kill()
	killed := time.Now()
	await(page, "after", func() { say(2, "mychannel", `["myevent", {"message": "after"}]`) })
	if took := time.Since(killed); took > 4*time.Second {
		t.Errorf("%s after a gateway was killed channels are heard again, want 3 s", took)
	}
}

// The lines of a flask-sse page work in a browser.
func TestPredecessorsPageInABrowser(t *testing.T) {
	node := redistest.StartStandalone(t)
	stand.CreateKey(t, "--redis", node.Addr(), "--kind", "live", "--merchant", "acme")
	server := stand.Serve(t, "--redis", node.Addr(), "--durability", "best-effort", "--legacy-channels", "mychannel=acme")
	page := openBrowser(t)
	page.do(t, chromedp.Navigate(server.URL+"/docs"), chromedp.Evaluate(`window.got = [];
		var source = new EventSource('/stream?channel=mychannel');
		source.addEventListener('myevent', function (event) { got.push(JSON.parse(event.data).message); });
		source.addEventListener('greeting', function (event) { got.push(event.data); });
		source.onmessage = function (event) { got.push('unnamed ' + event.data); }; 0`, nil))
	for deadline := time.Now().Add(intakeLimit); page.text(t, "got.length") == "0"; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing arrives")
		}
		node.Do("PUBLISH", "mychannel", `["myevent", {"message": "Hello!"}]`)
	}
	page.do(t, chromedp.Evaluate("got = []; 0", nil))
	node.Do("PUBLISH", "mychannel", `["myevent", {"message": "größer"}]`)
	node.Do("PUBLISH", "mychannel", `{"data": "two\nlines", "type": "greeting", "id": "7", "retry": 5000}`)
	node.Do("PUBLISH", "mychannel", `{"data": {"a": 1}}`)
	page.until(t, "got.length >= 3")
	if got := page.text(t, "JSON.stringify(got.slice(-3))"); got != `["größer","two\nlines","unnamed {\"a\": 1}"]` {
		t.Errorf("the page got %s", got)
	}
}

// The samples of the guide publish through Redis.
func TestSamplesThroughRedis(t *testing.T) {
	t.Parallel()
	c := redistest.Start(t)
	redis := strings.Join(c.Addrs(), ",")
	key := stand.CreateKey(t, "--redis", redis, "--kind", "live", "--merchant", "acme")
	server := stand.Serve(t, "--redis", redis, "--legacy-channels", "mychannel=acme")
	host, port, err := net.SplitHostPort(c.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	do := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = samples
		cmd.Env = append(os.Environ(), "REDIS_HOST="+host, "REDIS_PORT="+port)
		if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "not published") {
			t.Errorf("%s %v: %v: %s", name, args, err, out)
		}
	}
	do("bash", "inbox.sh")
	do("/usr/bin/python3", "inbox.py") // redis-py is installed for this one
	do("php", "inbox.php")
	do("go", "run", "./inbox")
	want := []string{"order-9934-paid", "order-9935-paid", "order-9936-paid", "order-9937-paid"}
	for deadline := time.Now().Add(intakeLimit); ; time.Sleep(100 * time.Millisecond) {
		do("bash", "flask-sse.sh") // pub/sub drops messages without a subscriber
		ids := stand.History(t, server.URL, key)
		if len(ids) > len(want) && slices.Equal(ids[:len(want)], want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the log has %q, want %q and what was published to the channel", ids, want)
		}
	}
}
