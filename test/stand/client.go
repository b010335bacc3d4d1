package stand

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/paylogic/pushserver/streams/sse"
)

// Ask sends a request without a body and returns the response and its text.
func Ask(t testing.TB, method, url, key string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// A Stream is an open stream of a server.
type Stream struct {
	*sse.Decoder
	Response *http.Response
	t        testing.TB
}

// OpenStream connects as an EventSource does. The position may be empty. The
// stream is closed when ctx is done or the test ends.
func OpenStream(ctx context.Context, t testing.TB, url, key, position string) *Stream {
	t.Helper()
	s, status := TryStream(ctx, t, url+"/v1/stream", key, position)
	if status != http.StatusOK {
		t.Fatalf("the stream is answered with %d", status)
	}
	return s
}

// TryStream is OpenStream with the whole URL. It returns the status, and no
// stream unless that is 200.
func TryStream(ctx context.Context, t testing.TB, url, key, position string) (*Stream, int) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	if position != "" {
		req.Header.Set("Last-Event-ID", position)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Error(err)
		return nil, 0
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, resp.StatusCode
	}
	return &Stream{sse.NewDecoder(bufio.NewReader(resp.Body)), resp, t}, http.StatusOK
}

// Close ends the stream from the client's side.
func (s *Stream) Close() { s.Response.Body.Close() }

// NextEvent returns the next event. It skips stream.cursor, which comes when a
// stream has had nothing to say for a heartbeat.
func (s *Stream) NextEvent() sse.Event {
	s.t.Helper()
	for {
		e, err := s.Next()
		if err != nil {
			s.t.Fatal(err)
		}
		if e.Type != "stream.cursor" {
			return e
		}
	}
}

// History returns the ids of all events of a key's merchant, oldest first.
func History(t testing.TB, url, key string) (ids []string) {
	t.Helper()
	for after := ""; ; {
		_, text := Ask(t, http.MethodGet, url+"/v1/events?limit=1000"+after, key)
		var page struct {
			Events []struct{ Data struct{ ID string } }
			Cursor string
			More   bool
		}
		decodeJSON(t, text, &page)
		for _, e := range page.Events {
			ids = append(ids, e.Data.ID)
		}
		if !page.More {
			return ids
		}
		after = "&after=" + page.Cursor
	}
}

func decodeJSON(t testing.TB, text string, into any) {
	t.Helper()
	if err := json.NewDecoder(strings.NewReader(text)).Decode(into); err != nil {
		t.Fatalf("%v: %.200s", err, text)
	}
}
