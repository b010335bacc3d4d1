package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/paylogic/pushserver/api/cloudevents"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/eventlog"
)

// BenchmarkPublish is what a publish costs apart from the network and from Redis:
// one event, and a batch of a hundred.
func BenchmarkPublish(b *testing.B) {
	r := newRig(b, eventlog.MemoryOptions{})
	key := r.issue(b, auth.Key{Kind: auth.Pub, Limits: within(b, policy.Largest().String())})
	handler := r.server.Handler()
	id := 0
	event := func() string {
		id++
		return fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/bench","type":"bench.event","subject":"g/1","merchant":"a","data":{"pad":"%s"}}`,
			id, strings.Repeat("x", 160))
	}
	for _, form := range []struct {
		name, mediaType string
		events          int
	}{{"one", cloudevents.StructuredType, 1}, {"batch", cloudevents.BatchType, 100}} {
		b.Run(form.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				events := make([]string, form.events)
				for i := range events {
					events[i] = event()
				}
				body := strings.Join(events, ",")
				if form.mediaType == cloudevents.BatchType {
					body = "[" + body + "]"
				}
				req := httptest.NewRequest(http.MethodPost, "/v1/events", strings.NewReader(body))
				req.Header.Set("Authorization", "Bearer "+key)
				req.Header.Set("Content-Type", form.mediaType)
				answer := httptest.NewRecorder()
				b.StartTimer()
				handler.ServeHTTP(answer, req)
				if answer.Code/100 != 2 {
					b.Fatal(answer.Code, answer.Body)
				}
			}
		})
	}
}
