package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestDataIsPublishedByteForByte(t *testing.T) {
	const data = `{ "n": 1e400, "html": "<b>&" }`
	p := Publication{Merchant: "acme", Type: "a.b", ID: "1", Data: json.RawMessage(data)}
	body, err := p.encode()
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"merchant":"acme","type":"a.b","id":"1","data":` + data + `}`; string(body) != want {
		t.Errorf("body is %s, want %s", body, want)
	}
	if _, err := (&Publication{Data: json.RawMessage("{")}).encode(); err == nil {
		t.Error("data that is no JSON was taken")
	}
}

// scripted answers the requests in turn.
func scripted(t *testing.T, answers ...http.HandlerFunc) *Client {
	t.Helper()
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n == len(answers) {
			t.Errorf("request %d is one too many", n+1)
			w.WriteHeader(http.StatusTeapot)
			return
		}
		n++
		answers[n-1](w, r)
	}))
	t.Cleanup(s.Close)
	return &Client{URL: s.URL, Key: "ps_live_x"}
}

func refuse(status int, name string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"type":"/problems/%s","title":"T","status":%d,"detail":"D","errors":[{"pointer":"/a","detail":"b"}]}`, name, status)
	}
}

func TestPublishTriesAgainWithTheSameID(t *testing.T) {
	var ids []string
	keep := func(then http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var body struct{ ID string }
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				t.Error(err)
			}
			ids = append(ids, body.ID)
			then(w, r)
		}
	}
	c := scripted(t, keep(refuse(503, "not-replicated")), keep(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"id":"x","position":"1-0-abcde","durability":"replicated","duplicate":true}`)
	}))
	r, err := c.Publish(t.Context(), Publication{Merchant: "a", Type: "a.b", Data: json.RawMessage("1")})
	if err != nil || r.Position != "1-0-abcde" || !r.Duplicate {
		t.Errorf("got %+v, %v", r, err)
	}
	if len(ids) != 2 || ids[0] == "" || ids[0] != ids[1] {
		t.Errorf("it was sent with the ids %q", ids)
	}
	c = scripted(t, refuse(422, "schema-violation"))
	_, err = c.Publish(t.Context(), Publication{Merchant: "a", Type: "a.b", Data: json.RawMessage("1")})
	var p *Problem
	if !errors.As(err, &p) || p.Name() != "schema-violation" || p.Error() != "T: D\n/a b" {
		t.Errorf("refused with %v", err)
	}
}

func TestStreamResumesWhereItsCallerGotTo(t *testing.T) {
	stream := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "retry: 1\n\n"+text)
		}
	}
	var from []string
	after := func(then http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			from = append(from, r.Header.Get("Last-Event-ID")+r.URL.Query().Get("since"))
			then(w, r)
		}
	}
	c := scripted(t,
		after(refuse(503, "draining")),
		after(stream("event: a.b\nid: 1\ndata: {}\n\nevent: stream.cursor\nid: 2\ndata: {}\n\nevent: a.b\nid: 3\nda")), // cut off
		after(stream("event: stream.reset\ndata: {\"reason\":\"trimmed\"}\n\nevent: a.b\nid: 4\ndata: {}\n\n")),
		after(stream("event: stream.goodbye\ndata: {\"reason\":\"key_revoked\",\"reconnect\":false}\n\n")),
	)
	var got []string
	resets, broken := 0, 0
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := c.Stream(ctx, Feed{Since: "10m", Noticed: func(n Notice) {
		if n.Reset != nil {
			resets++
		} else {
			broken++
		}
	}}, func(e Event) error {
		got = append(got, e.Position)
		return nil
	})
	if !errors.Is(err, ErrEnded) || !strings.Contains(err.Error(), "key_revoked") {
		t.Errorf("it ended with %v", err)
	}
	if strings.Join(got, " ") != "1 4" || strings.Join(from, " ") != "10m 10m 2 4" || resets != 1 || broken != 3 {
		t.Errorf("got %q, having gone on from %q, with %d resets and %d breaks", got, from, resets, broken)
	}

	stop := errors.New("enough")
	c = scripted(t, stream("event: a.b\nid: 1\ndata: {}\n\n"))
	if err := c.Stream(ctx, Feed{}, func(Event) error { return stop }); err != stop {
		t.Errorf("its caller's error is returned as %v", err)
	}
	c = scripted(t, refuse(401, "key-revoked"))
	var p *Problem
	if err := c.Stream(ctx, Feed{}, nil); !errors.As(err, &p) || p.Status != 401 {
		t.Errorf("a refusal is returned as %v", err)
	}
}
