package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/paylogic/pushserver/api/cloudevents"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/internal/strictjson"
	"github.com/paylogic/pushserver/ratelimit"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/eventlog"
)

// Intake returns the decoder for events that services publish through Redis. The rules
// are those of POST /v1/events.
func (s *Server) Intake() eventlog.Intake {
	in := eventlog.Intake{Inbox: s.readInbox, Message: s.readMessage, Refused: func(from string, reason error) {
		s.metrics.intake.WithLabelValues(from).Inc()
		s.Logger.Debug("what came by Redis is no event", "from", from, "reason", reason)
	}}
	for _, c := range s.Channels {
		in.Channels = append(in.Channels, c.Name)
	}
	return in
}

// redisKey stands for any service that can write to Redis.
var redisKey = &auth.Key{ID: "redis", Kind: auth.Pub}

// reason says in one line why an event is invalid.
func reason(err error) error {
	p := problemOf(err)
	if p == nil {
		return err
	}
	text := p.Name + ": " + p.Detail
	if places, ok := p.Extra["errors"].([]map[string]any); ok {
		for _, place := range places {
			text += fmt.Sprintf(" %v %v", place["pointer"], place["detail"])
		}
	}
	return errors.New(text)
}

// readInbox reads an entry of the inbox. Its fields are the members of the short
// form, with data in JSON.
func (s *Server) readInbox(ctx context.Context, fields map[string]string) (string, eventlog.Event, error) {
	log, e, err := decodeFields(fields)
	if err == nil {
		if e.Source == "" {
			e.Source = "/inbox"
		}
		err = s.complete(ctx, redisKey, &e)
	}
	return intakeResult(log, e, err)
}

// intakeResult tells a Redis that is away, or a shutdown, from an invalid event.
func intakeResult(log string, e eventlog.Event, err error) (string, eventlog.Event, error) {
	if errors.Is(err, auth.ErrUnavailable) || errors.Is(err, context.Canceled) {
		return "", eventlog.Event{}, fmt.Errorf("%w: %w", eventlog.ErrUnavailable, err)
	}
	if err != nil {
		return "", eventlog.Event{}, reason(err)
	}
	return log, e, nil
}

// decodeFields writes the fields as an event in the short form: data and livemode
// are JSON, all others are text.
func decodeFields(fields map[string]string) (log string, e eventlog.Event, err error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, name := range slices.Sorted(maps.Keys(fields)) {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			return "", e, err
		}
		value := []byte(fields[name])
		if name != "data" && name != "livemode" {
			if value, err = json.Marshal(fields[name]); err != nil {
				return "", e, err
			}
		}
		b.Write(append(append(key, ':'), value...))
	}
	b.WriteByte('}')
	return cloudevents.DecodeShort(b.Bytes())
}

// readMessage reads what a service published to a channel, in one of flask-sse's
// two formats.
func (s *Server) readMessage(ctx context.Context, channel, payload string) (string, eventlog.Event, error) {
	c, ok := FindChannel(s.Channels, channel)
	if !ok {
		return "", eventlog.Event{}, errors.New("no such channel is configured")
	}
	typ, data, err := decodeMessage([]byte(payload))
	if err != nil {
		return "", eventlog.Event{}, reason(err)
	}
	log, e, err := decodeFields(map[string]string{"merchant": c.Merchant, "type": typ, "subject": channel, "data": string(data)})
	if err == nil {
		e.Source = "/channels"
		err = s.complete(ctx, redisKey, &e)
	}
	if err == nil {
		v := s.Limiter.Take(ctx, ratelimit.Ask{Key: "channels:" + c.Merchant, Charges: []ratelimit.Charge{{Policy: s.Limits.Of(policy.Publishes), N: 1}}})
		if !v.Allowed {
			err = s.quotaProblem(v, nil)
		}
	}
	return intakeResult(log, e, err)
}

// decodeMessage recognizes the format, and returns the event's type and its data.
func decodeMessage(payload []byte) (typ string, data []byte, err error) {
	doc, err := strictjson.Parse(payload, cloudevents.Bounds)
	if err != nil {
		return "", nil, err
	}
	named := true
	switch doc.Kind {
	case '[': // DazWorrall's: ["myevent", {"message": "Hello!"}]
		if len(doc.Elements) == 2 {
			typ, named = strictjson.Text(doc.Elements[0])
			data = doc.Elements[1]
		}
	case '{': // singingwolfboy's: {"data": …, "type": "greeting"}
		typ = streams.Unnamed
		for _, m := range doc.Members {
			switch {
			case m.Name == "data":
				data = m.Value
			case m.Name == "type" && string(m.Value) != "null":
				typ, named = strictjson.Text(m.Value)
			}
		}
	}
	if data == nil || !named {
		return "", nil, problem("schema-violation", `Publish ["type", data], or {"type": "…", "data": …}.`)
	}
	return typ, data, nil
}
