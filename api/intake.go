package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/internal/strictjson"
	"github.com/paylogic/pushserver/ratelimit"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/eventlog"
)

// Intake returns what makes events of what services leave in Redis: they are held
// to the same rules as those of POST /v1/events.
func (s *Server) Intake() eventlog.Intake {
	in := eventlog.Intake{Inbox: s.readInbox, Message: s.readMessage, Refused: func(from string, reason error) {
		s.metrics.intake.WithLabelValues(from).Inc()
		s.logger.Debug("what came by Redis is no event", "from", from, "reason", reason)
	}}
	for _, c := range s.channels {
		in.Channels = append(in.Channels, c.Name)
	}
	return in
}

// somebody is who publishes by Redis: any service that can write there.
var somebody = &auth.Key{ID: "redis", Kind: auth.Pub}

// reason says in one line why something is no event.
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

// readInbox reads an entry of the inbox: the members of the short form, each a
// field, with data in JSON.
func (s *Server) readInbox(ctx context.Context, fields map[string]string) (string, eventlog.Event, error) {
	p, err := decodeFields(fields)
	if err == nil {
		if p.event.Source == "" {
			p.event.Source = "/inbox"
		}
		err = s.complete(ctx, somebody, &p)
	}
	return p.logged(err)
}

// logged returns where an event goes, or why nowhere.
func (p *publication) logged(err error) (string, eventlog.Event, error) {
	if errors.Is(err, auth.ErrUnavailable) || errors.Is(err, context.Canceled) {
		return "", eventlog.Event{}, fmt.Errorf("%w: %w", eventlog.ErrUnavailable, err)
	}
	if err != nil {
		return "", eventlog.Event{}, reason(err)
	}
	return p.log(), p.event, nil
}

func decodeFields(fields map[string]string) (publication, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, name := range slices.Sorted(maps.Keys(fields)) {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			return publication{}, err
		}
		value := []byte(fields[name])
		if name != "data" && name != "livemode" {
			if value, err = json.Marshal(fields[name]); err != nil {
				return publication{}, err
			}
		}
		b.Write(append(append(key, ':'), value...))
	}
	b.WriteByte('}')
	return decodeShort(b.Bytes())
}

// readMessage reads what a service published to a channel, in one of flask-sse's
// two formats.
func (s *Server) readMessage(ctx context.Context, channel, payload string) (string, eventlog.Event, error) {
	c, ok := FindChannel(s.channels, channel)
	if !ok {
		return "", eventlog.Event{}, errors.New("no such channel is configured")
	}
	typ, data, err := decodeMessage([]byte(payload))
	if err != nil {
		return "", eventlog.Event{}, reason(err)
	}
	quoted, err := json.Marshal(channel)
	if err != nil {
		return "", eventlog.Event{}, err
	}
	d := draft{place: "pointer", seen: make(map[string]bool)}
	d.setText(strictjson.Member{Name: "type", Value: typ})
	d.setText(strictjson.Member{Name: "subject", Value: quoted})
	d.setData(data)
	d.pub.merchant, d.pub.event.Merchant = c.Merchant, c.Merchant
	p, err := d.finish("type", "data")
	if err == nil {
		p.event.Source = "/channels"
		err = s.complete(ctx, somebody, &p)
	}
	if err == nil {
		v := s.limiter.Take(ctx, ratelimit.Ask{Key: "channels:" + c.Merchant, Charges: []ratelimit.Charge{{Policy: s.limits.Of(policy.Publishes), N: 1}}})
		if !v.Allowed {
			err = s.quotaProblem(v, nil)
		}
	}
	return p.logged(err)
}

// decodeMessage tells the formats apart and returns the event's type, as a JSON
// string, and its data.
func decodeMessage(payload []byte) (typ, data []byte, err error) {
	doc, err := strictjson.Parse(payload, eventBounds)
	if err != nil {
		return nil, nil, err
	}
	unnamed := []byte(`"` + streams.Unnamed + `"`)
	switch doc.Kind {
	case '[': // DazWorrall's: ["myevent", {"message": "Hello!"}]
		if len(doc.Elements) == 2 && doc.Elements[0][0] == '"' {
			return doc.Elements[0], doc.Elements[1], nil
		}
	case '{': // singingwolfboy's: {"data": …, "type": "greeting"}
		typ = unnamed
		for _, m := range doc.Members {
			switch m.Name {
			case "data":
				data = m.Value
			case "type":
				if typ = m.Value; string(typ) == "null" {
					typ = unnamed
				}
			}
		}
		if data != nil && typ[0] == '"' {
			return typ, data, nil
		}
	}
	return nil, nil, problem("schema-violation", `Publish ["type", data], or {"type": "…", "data": …}.`)
}
