package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestListenForwardsEachEventToAHandler(t *testing.T) {
	intro := beginDev(t)
	got := make(chan string, 2)
	handler := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.Header.Get("Content-Type") + " " + string(body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer handler.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var out, errs strings.Builder
	done := make(chan int)
	go func() {
		done <- run(ctx, []string{"listen", "--url", intro.URL, "--key", intro.Keys["acme"], "--since", "1m", "--forward-to", handler.URL},
			strings.NewReader(""), &out, &errs)
	}()
	if code, _, said := execute(t, "", "publish", "--url", intro.URL, "--key", intro.PublisherKey, "--merchant", "acme", "--type", "a.b", `{"n":7}`); code != exitOK {
		t.Fatal(said)
	}
	select {
	case text := <-got:
		if !strings.HasPrefix(text, "application/cloudevents+json ") || !strings.Contains(text, `"data":{"n":7}`) {
			t.Errorf("the handler got %s", text)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the handler got nothing")
	}
	time.Sleep(200 * time.Millisecond) // until its answer is printed
	cancel()
	if code := <-done; code != exitOK {
		t.Errorf("listen ended with %d", code)
	}
	if !strings.Contains(errs.String(), "202 Accepted in ") || !strings.Contains(out.String(), "a.b") {
		t.Errorf("listen printed %q and said %q", out.String(), errs.String())
	}
}
