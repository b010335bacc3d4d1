package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paylogic/pushserver/auth"
)

func TestAttack55HostileCursors(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	real := r.publish(t, "a", "t", "1").Position.String()
	wrongTag := real[:len(real)-5] + "AAAAA"
	beyond := "99999999999999-0-AAAAA"
	malformed := []string{strings.Repeat("1", 129), strings.Repeat("x", 8<<10),
		"18446744073709551615-18446744073709551615", "$", "0", "-", "+", "../../x", "0-0"}
	for _, cursor := range append([]string{wrongTag, beyond}, malformed...) {
		events := r.watch(t, r.a, "", "Last-Event-ID", cursor).until(t, "stream.reset")
		if data := events[len(events)-1].Data; len(data) > 400 {
			t.Errorf("%.40s: stream.reset has %d bytes", cursor, len(data))
		}
	}
	for _, cursor := range malformed {
		r.probe(t, "GET", r.a,
			probe{"/v1/stream?last_event_id=" + url.QueryEscape(cursor), nil, 400, "cursor-malformed"},
			probe{"/v1/events?after=" + url.QueryEscape(cursor), nil, 400, "cursor-malformed"})
	}
	for _, cursor := range []string{wrongTag, beyond} {
		r.watch(t, r.a, "?last_event_id="+cursor).until(t, "stream.reset")
		r.probe(t, "GET", r.a, probe{"/v1/events?after=" + cursor, nil, 410, "history-gone"})
	}
	r.probe(t, "GET", r.a, probe{"", []string{"Last-Event-Id", real + "\n" + real}, 400, "ambiguous-cursor"})
}

func TestAttack56LostFilterNeverBroadensAStream(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	for _, path := range []string{"/v1/stream", "/v1/events"} {
		r.probe(t, "GET", r.a,
			probe{path + "?types=a;subject=b", nil, 400, "malformed-query"},
			probe{path + "?types=%zz", nil, 400, "malformed-query"},
			probe{path + "?types=a&types=b", nil, 400, "malformed-query"},
			probe{path + "?tpyes=a", nil, 400, "unknown-parameter"},
			probe{path + "?types", nil, 400, "malformed-query"},
			probe{path + "?types=a,,b", nil, 400, "filter-invalid"},
			probe{path + "?types=a%00", nil, 400, "malformed-query"},
		)
	}
}

func TestAttack57HostileFilters(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	for _, filter := range []string{
		strings.Repeat(`id=="x"||`, 200) + "true", strings.Repeat("(", 2000), strings.Repeat("[", 2000),
		`id.matches("(?=a)+$")`, "[1,2].all(x, x > 0)", `"a" + `, "\x7f", strings.Repeat("a", 9000),
	} {
		got := r.do(t, "GET", "/v1/stream?filter="+url.QueryEscape(filter), r.a, "")
		got.refused(t, filter[:min(len(filter), 40)], 400, "filter-invalid", "malformed-query")
		if len(got.body) > 1024 {
			t.Errorf("%.40s: %d bytes of answer", filter, len(got.body))
		}
	}
	if got := r.raw(t, "GET /v1/stream?filter="+strings.Repeat("a", 1<<20)+" HTTP/1.1\r\n"); !strings.HasPrefix(got, "HTTP/1.1 431 ") {
		t.Errorf("a filter of 1 MiB: %.100s", got)
	}
	r.alive(t)
}

func TestAttack60AcceptRangeAndConditions(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	r.probe(t, "GET", r.a,
		probe{"", []string{"Accept", "application/xml"}, 406, "not-acceptable"},
		probe{"", []string{"Accept", "text/event-stream;q=0"}, 406, "not-acceptable"})
	v := r.watch(t, r.a, "", "Range", "bytes=0-", "If-None-Match", "*")
	if got := v.res.Header.Get("Cache-Control"); got != "no-store, no-transform" {
		t.Errorf("Cache-Control is %q", got)
	}
}

func TestAttack61StreamIsNotCompressed(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	v := r.watch(t, r.a, "", "Accept-Encoding", "gzip")
	if got := v.res.Header.Get("Content-Encoding"); got != "" {
		t.Errorf("Content-Encoding is %q", got)
	}
	v.until(t, "stream.open")
}

func TestAttack62Methods(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	if got := r.do(t, "HEAD", "/v1/stream", r.a, ""); got.status != 200 || got.body != "" ||
		!strings.HasPrefix(got.header.Get("Content-Type"), eventStream) {
		t.Errorf("HEAD: %+v", got)
	}
	if n := r.hub.Stats().Subscriptions; n != 0 {
		t.Errorf("HEAD left %d subscriptions", n)
	}
	if got := r.do(t, "HEAD", "/v1/stream", "", ""); got.status != 401 || got.body != "" {
		t.Errorf("HEAD without key: %+v", got)
	}
	if got := r.do(t, "OPTIONS", "/v1/stream", "", ""); got.status != 204 || got.header.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("OPTIONS: %+v", got)
	}
	for _, method := range []string{"TRACE", "PUT", "get", "POST", "DELETE", "PRI2"} {
		got := r.do(t, method, "/v1/stream", r.a, "", "Content-Type", "")
		got.refused(t, method, 405, "method-not-allowed")
		if got.header.Get("Allow") != "GET, HEAD, OPTIONS" {
			t.Errorf("%s: Allow is %q", method, got.header.Get("Allow"))
		}
	}
}

// A pipe is a listener in memory, whose connections keep the bubble's time.
type pipe struct {
	conns  chan net.Conn
	closed chan struct{}
	once   atomic.Bool
}

func (p *pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipe) Close() error {
	if p.once.CompareAndSwap(false, true) {
		close(p.closed)
	}
	return nil
}

func (p *pipe) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipe) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

// slow runs f with a server in a bubble of time.
func (r *rig) slow(t *testing.T, f func(*testing.T, *pipe)) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipe{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := NewHTTPServer(r.server.Handler(), r.server.Logger)
		done := make(chan error, 1)
		go func() { done <- server.Serve(p) }()
		f(t, p)
		server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

func TestAttack66SlowHeaders(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	r.slow(t, func(t *testing.T, p *pipe) {
		began := time.Now()
		ended := make(chan time.Duration)
		const n = 200
		for range n {
			go func() {
				conn := p.dial()
				defer conn.Close()
				go io.Copy(io.Discard, conn)
				for {
					if _, err := io.WriteString(conn, "x"); err != nil {
						ended <- time.Since(began)
						return
					}
					time.Sleep(time.Second) // of the bubble: a byte a second
				}
			}()
		}
		for range n {
			if took := <-ended; took > headerTimeout+time.Second {
				t.Errorf("a slow header was read for %v", took)
			}
		}
	})
	r.alive(t)
}

func TestAttack67SlowBody(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	key := r.pub
	r.slow(t, func(t *testing.T, p *pipe) {
		for _, attack := range []struct{ key, problem string }{{key, "request-timeout"}, {"", "unauthenticated"}} {
			drip(t, p, attack.key, attack.problem)
		}
	})
	r.alive(t)
}

// drip sends a body a byte a second and checks how it ends.
func drip(t *testing.T, p *pipe, key, problem string) {
	began := time.Now()
	conn := p.dial()
	credential := ""
	if key != "" {
		credential = "Authorization: Bearer " + key + "\r\n"
	}
	io.WriteString(conn, "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"+credential+"\r\n")
	var writer sync.WaitGroup
	writer.Go(func() {
		for {
			if _, err := io.WriteString(conn, " "); err != nil {
				return
			}
			time.Sleep(time.Second) // of the bubble
		}
	})
	answer, _ := io.ReadAll(conn) // a pipe that closes
	took := time.Since(began)
	conn.Close()
	writer.Wait()
	if took > bodyTimeout+time.Second {
		t.Errorf("%s: a slow body was read for %v", problem, took)
	}
	if !bytes.Contains(answer, []byte(problem)) {
		t.Errorf("the answer is %.300q, want %s", answer, problem)
	}
}

func TestHalfClosedClientIsNotToldOfSuccess(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	for range 20 {
		conn, err := net.Dial("tcp", r.http.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		body := `{"merchant":"a","type":"t","data":1}`
		io.WriteString(conn, "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer "+r.pub+
			"\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body)
		conn.(*net.TCPConn).CloseWrite()
		answer, _ := io.ReadAll(conn)
		conn.Close()
		if len(answer) > 0 && !strings.Contains(string(answer), `"position"`) {
			t.Fatalf("an answer without a receipt: %q", answer)
		}
	}
}

func TestAttack69Smuggling(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	event := `{"merchant":"a","type":"t","data":1}`
	second := "GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + r.a + "\r\n\r\n"
	head := "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer " + r.pub + "\r\n"
	for in, attack := range map[string]struct{ request, status string }{
		"two lengths":            {head + "Content-Length: 36\r\nContent-Length: 0\r\n\r\n" + event + second, "400"},
		"length with a sign":     {head + "Content-Length: +5\r\n\r\n" + event + second, "400"},
		"length and chunks":      {head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n24\r\n" + event + "\r\n0\r\n\r\n" + second, "201"},
		"identity, chunked":      {head + "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n" + second, "501"},
		"bad chunk size":         {head + "Transfer-Encoding: chunked\r\n\r\n+24\r\n" + event + "\r\n0\r\n\r\n" + second, "400"},
		"space before the colon": {head + "Content-Length : 5\r\n\r\n" + event + second, "400"},
	} {
		got := r.raw(t, attack.request)
		if !strings.HasPrefix(got, "HTTP/1.1 "+attack.status+" ") {
			t.Errorf("%s: %.200q, want %s", in, got, attack.status)
		}
		if strings.Count(got, "HTTP/1.1 ") != 1 {
			t.Errorf("%s: a second request was answered: %q", in, got)
		}
	}
	// A stream takes no second request either: what follows is thrown away.
	stream := "HEAD /v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + r.a + "\r\n\r\n"
	if got := r.raw(t, stream+second); strings.Count(got, "HTTP/1.1 ") != 1 {
		t.Errorf("a request behind a stream was answered: %q", got)
	}
	r.alive(t)
}

func TestAttack70Hosts(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	for request, status := range map[string]string{
		"GET /v1/me HTTP/1.1\r\n\r\n":                                            "400",
		"GET /v1/me HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n":                      "400",
		"GET http://evil/v1/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n": "401",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":             "200",
		"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\nConnection: close\r\n\r\n":         "404",
	} {
		got := r.raw(t, request)
		if !strings.HasPrefix(got, "HTTP/1.1 "+status+" ") || strings.Contains(got, "evil") {
			t.Errorf("%q: %.300q, want %s", request, got, status)
		}
	}
	r.alive(t)
}

func TestAttack72PrefaceOfHTTP2InTheClear(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	got := r.raw(t, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 400 ") || strings.Count(got, "HTTP/1.1 ") != 1 {
		t.Errorf("the answer is %.300q", got)
	}
	got = r.raw(t, "GET /v1/me HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 401 ") {
		t.Errorf("an upgrade to h2c: %.300q", got)
	}
	r.alive(t)
}

func TestAttack92SecretsReachNoLog(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	secrets := []string{r.a, r.pub, auth.Mint(auth.Live).Reveal(), "redis://user:canary-word@host", "eyJhbGciOiJIUzI1NiJ9.eyJjYW5hcnkiOjF9.c2ln", "s3cr3t=="}
	for _, secret := range secrets {
		escaped := url.QueryEscape(secret)
		for _, target := range []string{"/v1/me?" + escaped, "/v1/me?" + escaped + "=1", "/v1/me?access_token=" + escaped, "/v1/me?x=" + escaped,
			"/v1/me?" + secret, "/v1/me/" + escaped, "/" + escaped, "/v1/stream?last_event_id=" + escaped, "/v1/stream?filter=" + escaped,
			"/v1/events?types=" + escaped, "/v1/events?since=" + escaped} {
			r.do(t, "GET", target, "", "")
			r.do(t, "GET", target, r.b, "", "Referer", secret, "Cookie", "k="+secret, "X-Api-Key", secret)
		}
		r.do(t, "GET", "/v1/me", secret, "")
		r.do(t, "GET", "/v1/me", "", "", "Authorization", "Basic "+secret)
		r.do(t, "GET", "/v1/me", "", "", secretHeader(secret), "1")
		r.post(t, `{"merchant":"a","type":"t","data":"`+secret+`","id":"`+secret+`"}`)
		r.post(t, secret)
		r.raw(t, "GET /"+escaped+" HTTP/1.1\r\n"+secret+"\r\n\r\n")
		r.raw(t, "G"+secret+"\r\n\r\n")
	}
	ops := httptestGet(r.server.OpsHandler(), "/metrics") + httptestGet(r.server.OpsHandler(), "/readyz")
	for _, secret := range secrets {
		for in, text := range map[string]string{"log": r.logs.String(), "operators' endpoints": ops} {
			for _, form := range []string{secret, url.QueryEscape(secret), strings.TrimRight(secret, "=")} {
				if at := strings.Index(text, form); at >= 0 {
					t.Errorf("the %s has %q: %q", in, form, text[max(0, at-200):min(len(text), at+100)])
					break
				}
			}
		}
	}
	if !strings.Contains(r.logs.String(), "msg=request") {
		t.Error("nothing was logged, so the test proves nothing")
	}
}

func TestAttack94PanicInAHandler(t *testing.T) {
	t.Parallel()
	r := newRig(t, eventlog.MemoryOptions{})
	r.server.routes.Handle("/panic/early", r.server.route(endpoint{"GET": func(http.ResponseWriter, *http.Request) error { panic("inner canary") }}))
	r.server.routes.Handle("/panic/late", r.server.route(endpoint{"GET": func(w http.ResponseWriter, _ *http.Request) error {
		io.WriteString(w, "partial")
		panic("inner canary")
	}}))
	v := r.watch(t, r.a, "")
	got := r.do(t, "GET", "/panic/early", "", "")
	got.refused(t, "a panic", 500, "internal-error")
	if strings.Contains(got.body, "canary") {
		t.Errorf("the answer shows the panic: %s", got.body)
	}
	res, err := r.http.Client().Get(r.http.URL + "/panic/late")
	if err == nil {
		_, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	if err == nil {
		t.Error("an answer that was broken off looks complete")
	}
	if n := strings.Count(r.logs.String(), "request failed"); n < 2 { // a client may ask again
		t.Errorf("%d failures in the log, want 2", n)
	}
	r.publish(t, "a", "after.panic", "1")
	v.until(t, "after.panic")
	r.alive(t)
}
