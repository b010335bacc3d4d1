package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylogic/pushserver"
	"github.com/paylogic/pushserver/api/catalog"
	"github.com/paylogic/pushserver/api/cloudevents"
	"github.com/paylogic/pushserver/api/conform"
	"github.com/paylogic/pushserver/api/describe"
	"github.com/paylogic/pushserver/api/transport"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/sse"
)

// patience is how long a test waits for what should come at once.
const patience = 15 * time.Second

// A rig is a whole server on the loopback, with two merchants.
type rig struct {
	server *Server
	log    *eventlog.MemoryLog
	hub    *streams.Hub
	store  *auth.MemoryStore
	logs   *logbook
	http   *httptest.Server

	a, b, pub string // the keys of two merchants and a publisher

	catalogued bool // its description is its own
}

// A logbook keeps what is logged.
type logbook struct {
	mu  sync.Mutex // guards the following
	buf bytes.Buffer
}

func (j *logbook) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *logbook) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

func newRig(t testing.TB, o eventlog.MemoryOptions) *rig { return startRig(t, o, false) }

func startRig(t testing.TB, o eventlog.MemoryOptions, secure bool, configure ...func(*Config)) *rig {
	t.Helper()
	r := &rig{log: eventlog.NewMemoryLog(o), store: new(auth.MemoryStore), logs: new(logbook)}
	logger := slog.New(slog.NewTextHandler(r.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.hub = streams.NewHub(r.log, streams.Options{Logger: logger})
	config := Config{Log: r.log, Hub: r.hub, Keyring: auth.NewKeyring(r.store, auth.KeyringOptions{}), Store: r.store, Logger: logger,
		StateTypes: []string{"seat.status"}}
	for _, c := range configure {
		c(&config)
	}
	var err error
	if r.server, err = New(config); err != nil {
		t.Fatal(err)
	}
	handler := r.server.Handler()
	r.http = httptest.NewUnstartedServer(handler)
	r.http.Config = NewHTTPServer(handler, logger)
	if secure {
		config := transport.ListenConfig(true)
		r.http.Listener.Close()
		if r.http.Listener, err = config.Listen(t.Context(), "tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		r.http.EnableHTTP2 = true
		r.http.StartTLS()
	} else {
		r.http.Start()
	}
	t.Cleanup(func() {
		r.hub.Close()
		r.http.CloseClientConnections()
		r.http.Close()
		r.server.Close()
		r.log.Close()
	})
	r.a = r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a"})
	r.b = r.issue(t, auth.Key{Kind: auth.Live, Merchant: "b"})
	r.pub = r.issue(t, auth.Key{Kind: auth.Pub})
	return r
}

func (r *rig) issue(t testing.TB, description auth.Key) string {
	t.Helper()
	secret, _, err := auth.Issue(t.Context(), r.store, description)
	if err != nil {
		t.Fatal(err)
	}
	return secret.Reveal()
}

// A response is a whole answer.
type response struct {
	status int
	header http.Header
	body   string
}

// do sends a request; header has names and values in turn, a key of "" is none.
func (r *rig) do(t testing.TB, method, target, key, body string, header ...string) response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, r.http.URL+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", cloudevents.ShortType)
	}
	for pair := range slices.Chunk(header, 2) {
		if pair[1] == "" {
			req.Header.Del(pair[0])
			continue
		}
		req.Header[http.CanonicalHeaderKey(pair[0])] = strings.Split(pair[1], "\n")
	}
	res, err := r.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: read the answer: %v", method, target, err)
	}
	if kind := res.Header.Get("Content-Type"); !strings.HasPrefix(kind, eventStream) && !strings.HasPrefix(kind, lineStream) && !r.catalogued {
		if err := described().Exchange(conform.Exchange{
			Method: method, Path: req.URL.Path, RequestType: req.Header.Get("Content-Type"), Request: []byte(body),
			Status: res.StatusCode, Header: res.Header, Answer: text,
		}); err != nil {
			t.Error(err)
		}
	}
	return response{res.StatusCode, res.Header, string(text)}
}

// refused checks that the answer is this problem, complete and tight-lipped.
func (got response) refused(t testing.TB, in string, status int, names ...string) {
	t.Helper()
	var doc struct {
		Type      string `json:"type"`
		Status    int    `json:"status"`
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal([]byte(got.body), &doc); err != nil {
		t.Errorf("%s: status %d with %.200q, want a problem document", in, got.status, got.body)
		return
	}
	name := strings.TrimPrefix(doc.Type, "/problems/")
	if got.status != status || doc.Status != status || !slices.Contains(names, name) {
		t.Errorf("%s: status %d (%d in the document), %s; want %d, %v", in, got.status, doc.Status, doc.Type, status, names)
	}
	if kind := got.header.Get("Content-Type"); kind != "application/problem+json" {
		t.Errorf("%s: Content-Type is %q", in, kind)
	}
	if doc.RequestID == "" || doc.RequestID != got.header.Get("X-Request-Id") {
		t.Errorf("%s: request_id %q, X-Request-Id %q", in, doc.RequestID, got.header.Get("X-Request-Id"))
	}
	for _, inside := range []string{"goroutine ", ".go:", "0xc0", "runtime error", "127.0.0.1", "net/http"} {
		if strings.Contains(got.body, inside) {
			t.Errorf("%s: the answer shows %q: %s", in, inside, got.body)
		}
	}
	if len(got.body) > 4096 {
		t.Errorf("%s: the answer has %d bytes", in, len(got.body))
	}
}

func (r *rig) publish(t testing.TB, merchant, typ, data string, more ...string) accepted {
	t.Helper()
	got := r.do(t, "POST", "/v1/events", r.pub,
		`{"merchant":"`+merchant+`","type":"`+typ+`","data":`+data+strings.Join(more, "")+`}`)
	var a accepted
	if got.status != http.StatusCreated || json.Unmarshal([]byte(got.body), &a) != nil {
		t.Fatalf("publish: status %d, %s", got.status, got.body)
	}
	return a
}

// A viewer reads an open stream.
type viewer struct {
	res     *http.Response
	decoder *sse.Decoder
	lines   *bufio.Reader
}

// watch opens a stream, which ends with the test.
func (r *rig) watch(t testing.TB, key, query string, header ...string) *viewer {
	t.Helper()
	if key != "" {
		header = append([]string{"Authorization", "Bearer " + key}, header...)
	}
	return r.open(t, "/v1/stream"+query, header...)
}

// open opens the stream at a path, which ends with the test.
func (r *rig) open(t testing.TB, path string, header ...string) *viewer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", r.http.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for pair := range slices.Chunk(header, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	res, err := r.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body)
		t.Fatalf("%s: status %d, %s", path, res.StatusCode, text)
	}
	lines := bufio.NewReader(res.Body)
	return &viewer{res, sse.NewDecoder(lines), lines}
}

// next returns the next event, control events included. It is one that the
// description knows.
func (v *viewer) next(t testing.TB) sse.Event {
	t.Helper()
	e, err := v.decoder.Next()
	if err != nil {
		t.Fatalf("read the stream: %v", err)
	}
	if err := described().Event(e); err != nil {
		t.Error(err)
	}
	return e
}

// described is openapi.yaml, for whatever is received.
var described = sync.OnceValue(func() *conform.Description {
	composer, err := describe.New(pushserver.OpenAPI, new(catalog.Catalog), true)
	if err != nil {
		panic(err)
	}
	d, err := conform.Read(composer.Describe(nil).JSON)
	if err != nil {
		panic(err)
	}
	return d
})

// until returns the events before one of the type, and that one last.
func (v *viewer) until(t testing.TB, typ string) []sse.Event {
	t.Helper()
	var events []sse.Event
	for {
		e := v.next(t)
		if events = append(events, e); e.Type == typ {
			return events
		}
	}
}

// raw sends bytes on a connection of their own and returns all that comes back
// until the server closes it.
func (r *rig) raw(t testing.TB, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", r.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(conn)
	if err != nil && len(text) == 0 {
		t.Fatalf("%.60q: %v", request, err)
	}
	return string(text)
}

// alive checks that the server still serves a good request.
func (r *rig) alive(t testing.TB) {
	t.Helper()
	if got := r.do(t, "GET", "/v1/me", r.a, ""); got.status != http.StatusOK {
		t.Errorf("the next good request got %d: %s", got.status, got.body)
	}
}

// A probe is a request and the refusal that it must meet.
type probe struct {
	target string
	header []string
	status int
	name   string
}

func (r *rig) probe(t *testing.T, method, key string, probes ...probe) {
	t.Helper()
	for _, p := range probes {
		in := method + " " + cmp.Or(p.target, "/v1/stream")
		if len(in) > 100 {
			in = in[:100] + "…"
		}
		r.do(t, method, cmp.Or(p.target, "/v1/stream"), key, "", p.header...).refused(t, in, p.status, p.name)
	}
	r.alive(t)
}

// httptestGet returns the body of an answer without a connection.
func httptestGet(h http.Handler, target string) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
	return w.Body.String()
}

// secretHeader returns a header's name that a secret can stand in.
func secretHeader(secret string) string {
	return "X-" + strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(secret))
}
