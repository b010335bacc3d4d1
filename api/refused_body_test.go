package api

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/api/cloudevents"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/eventlog"
)

// Many clients, such as Python's urllib, read an answer only after they have sent
// the whole body.
func TestRefusalReachesClientsThatSendTheirWholeBodyFirst(t *testing.T) {
	for name, secure := range map[string]bool{"in the clear": false, "over TLS": true} {
		t.Run(name, func(t *testing.T) {
			r := startRig(t, eventlog.MemoryOptions{}, secure)
			spent := r.issue(t, auth.Key{Kind: auth.Live, Merchant: "a", Limits: policy.Limits{{Name: policy.Requests, Quota: 1, Window: time.Hour}}})
			r.do(t, "GET", "/v1/me", spent, "")
			for _, test := range []struct {
				path, key, form string
				status          int
			}{
				{"/v1/events", r.pub, cloudevents.ShortType, 413},
				{"/v1/events", "", cloudevents.ShortType, 401},
				{"/v1/events", "ps_live_wrong", cloudevents.ShortType, 401},
				{"/v1/events", r.a, cloudevents.ShortType, 403},
				{"/v1/events", r.pub, "text/plain", 415},
				{"/v1/events?x=1", r.pub, cloudevents.ShortType, 400},
				{"/v1/nothing", r.pub, cloudevents.ShortType, 404},
				{"/v1/me", r.a, cloudevents.ShortType, 405},
				{"/docs", "", cloudevents.ShortType, 405},
				{"/v1/keys", r.a, cloudevents.ShortType, 403},
				{"/v1/keys/key_1/rotate", "", cloudevents.ShortType, 401},
				{"/v1/tokens", r.a, cloudevents.ShortType, 404},
				{"/v1/test/events", r.a, cloudevents.ShortType, 403},
				{"/v1/explain", r.a, cloudevents.ShortType, 413},
				{"/v1/keys", spent, cloudevents.ShortType, 429},
			} {
				sizes := []int{1 << 20}
				if test.status == 413 {
					sizes = append(sizes, 10<<20)
				}
				for _, size := range sizes {
					for _, chunked := range []bool{false, true} {
						got := r.sendFirst(t, test.path, test.key, test.form, size, chunked)
						if got != test.status {
							t.Errorf("POST %s with %d MB, chunked %v: got status %d, want %d", test.path, size>>20, chunked, got, test.status)
						}
					}
				}
			}
		})
	}
}

// sendFirst posts a body and only then reads the answer, whose status it returns.
func (r *rig) sendFirst(t *testing.T, path, key, form string, size int, chunked bool) int {
	t.Helper()
	var conn net.Conn
	conn, err := net.Dial("tcp", r.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if r.http.TLS != nil {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\n", path, form)
	if key != "" {
		head += "Authorization: Bearer " + key + "\r\n"
	}
	body := strings.Repeat(" ", size)
	if chunked {
		head += "Transfer-Encoding: chunked\r\n\r\n"
		body = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", size, body)
	} else {
		head += fmt.Sprintf("Content-Length: %d\r\n\r\n", size)
	}
	if _, err := io.WriteString(conn, head+body); err != nil {
		t.Errorf("POST %s: the body could not be sent: %v", path, err)
		return 0
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Errorf("POST %s: %v", path, err)
		return 0
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(text), `"detail"`) {
		t.Errorf("POST %s: got the body %q, error %v", path, text, err)
	}
	return res.StatusCode
}
