package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/paylogic/pushserver/test/stand"
)

func TestCloudEventsSDKPublishesInBothModes(t *testing.T) {
	t.Parallel()
	const data = `{"amount":9007199254740993,"to":"Žofie 東京"}`
	at := time.Date(2025, 11, 22, 21, 0, 0, 123e6, time.UTC)
	modes := []struct {
		name string
		with func(context.Context) context.Context
	}{
		{"structured", cloudevents.WithEncodingStructured},
		{"binary", cloudevents.WithEncodingBinary},
	}
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			dev := stand.Dev(t)
			client, err := cloudevents.NewClientHTTP(
				cloudevents.WithTarget(dev.URL+"/v1/events"),
				cloudevents.WithHeader("Authorization", "Bearer "+dev.PublisherKey),
				cloudevents.WithRoundTripper(newTransport(t)),
			)
			if err != nil {
				t.Fatal(err)
			}
			event := cloudevents.NewEvent()
			event.SetID("pay-77")
			event.SetSource("/payments")
			event.SetType("payment.paid")
			event.SetSubject("order/9")
			event.SetTime(at)
			event.SetExtension("merchant", "acme")
			event.SetExtension("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
			if err := event.SetData(cloudevents.ApplicationJSON, json.RawMessage(data)); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time it is a duplicate
				if result := client.Send(mode.with(t.Context()), event); !cloudevents.IsACK(result) {
					t.Fatalf("the event was not taken: %v", result)
				}
			}

			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, dev.URL+"/v1/events", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+dev.Keys["acme"])
			var page struct {
				Events []struct {
					Event string
					Data  json.RawMessage
				}
			}
			answer(t, req, http.StatusOK, &page)
			if len(page.Events) != 1 {
				t.Fatalf("history has %d events, want 1", len(page.Events))
			}
			// What is delivered is a CloudEvent that the SDK reads and finds valid.
			var got cloudevents.Event
			if err := json.Unmarshal(page.Events[0].Data, &got); err != nil {
				t.Fatalf("the SDK cannot read %s: %v", page.Events[0].Data, err)
			}
			if err := got.Validate(); err != nil {
				t.Errorf("the SDK finds the event invalid: %v", err)
			}
			if got.ID() != event.ID() || got.Source() != event.Source() || got.Type() != event.Type() ||
				got.Subject() != event.Subject() || !got.Time().Equal(at) {
				t.Errorf("delivered %s, want %s", got, event)
			}
			for name, value := range event.Extensions() {
				if got.Extensions()[name] != value {
					t.Errorf("extension %s is %v, want %v", name, got.Extensions()[name], value)
				}
			}
			if string(got.Data()) != data {
				t.Errorf("data is %s, want %s", got.Data(), data)
			}
		})
	}
}
