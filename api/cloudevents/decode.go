package cloudevents

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/paylogic/pushserver/internal/strictjson"
	"github.com/paylogic/pushserver/streams/eventlog"
)

// Media types of the forms.
const (
	ShortType      = "application/json"
	StructuredType = "application/cloudevents+json"
	BatchType      = "application/cloudevents-batch+json"
)

// MaxBatch is the number of events that a batch can have.
const MaxBatch = 1000

var (
	dataBounds = strictjson.Bounds{Depth: 64}

	// Bounds are those of an event in JSON: its data is one level down.
	Bounds = strictjson.Bounds{Depth: dataBounds.Depth + 1, Elements: MaxBatch}
)

// DecodeShort reads an event in the short form.
func DecodeShort(raw []byte) (log string, e eventlog.Event, err error) {
	doc, err := parseObject(raw)
	if err != nil {
		return "", e, err
	}
	return newDraft(Pointer).short(doc)
}

// DecodeStructured reads a CloudEvent in its JSON format (CloudEvents JSON format 1.0).
func DecodeStructured(raw []byte) (log string, e eventlog.Event, err error) {
	doc, err := parseObject(raw)
	if err != nil {
		return "", e, err
	}
	return newDraft(Pointer).structured(doc)
}

// DecodeFor reads an event in the short form, or a CloudEvent in its JSON format
// if it has specversion. An event that names no merchant is the given merchant's,
// and then it is for the test log if test is true and it has no livemode.
func DecodeFor(merchant string, test bool, raw []byte) (log string, e eventlog.Event, err error) {
	doc, err := parseObject(raw)
	if err != nil {
		return "", e, err
	}
	has := func(name string) bool {
		return slices.ContainsFunc(doc.Members, func(m strictjson.Member) bool { return m.Name == name })
	}
	d := newDraft(Pointer)
	if !has("merchant") {
		d.set("merchant", merchant)
		d.test = test
	}
	if has("specversion") {
		return d.structured(doc)
	}
	return d.short(doc)
}

// DecodeTest reads the type, subject and data of an event for the merchant's test
// log. It takes a missing subject or missing data from example.
func DecodeTest(merchant string, doc *strictjson.Document, example func(typ string) (subject string, data []byte)) (log string, e eventlog.Event, err error) {
	d := newDraft(Pointer)
	d.set("merchant", merchant)
	d.test = true
	for _, m := range doc.Members {
		switch m.Name {
		case "type", "subject":
			d.setText(m)
		case "data":
			d.setData(m.Value)
		default:
			d.refuse(m.Name, "is unknown")
		}
	}
	subject, data := example(d.event.Type)
	if !d.seen["data"] && data != nil {
		d.setData(data)
	}
	if !d.seen["subject"] && subject != "" {
		d.set("subject", subject)
	}
	return d.finish("type", "data")
}

// DecodeBatch reads a batch of CloudEvents and passes each event, or what is wrong
// with it, to each. After an error, ignore the events passed before it.
func DecodeBatch(raw []byte, each func(log string, e eventlog.Event, err error)) error {
	doc, err := strictjson.ParseBatch(raw, Bounds, func(doc *strictjson.Document, err error) {
		if err == nil {
			err = mustBeObject(doc)
		}
		if err != nil {
			each("", eventlog.Event{}, err)
			return
		}
		each(newDraft(Pointer).structured(doc))
	})
	if err == nil && doc.Kind != '[' {
		err = malformed("Send an array of CloudEvents, or one CloudEvent as " + StructuredType + ".")
	}
	return err
}

// DecodeBinary reads a CloudEvent in binary mode (CloudEvents HTTP binding, 3.1):
// attributes in ce- headers, percent-decoded once, and data in the body. An empty
// body is an event without data. The caller has checked Content-Type.
func DecodeBinary(h http.Header, body []byte) (log string, e eventlog.Event, err error) {
	d := newDraft(Header)
	if len(body) > 0 {
		doc, err := strictjson.Parse(body, dataBounds)
		if err != nil {
			return "", e, err
		}
		d.setData(doc.Raw)
	}
	for _, key := range slices.Sorted(maps.Keys(h)) {
		name, ok := strings.CutPrefix(strings.ToLower(key), "ce-")
		if !ok {
			continue
		}
		if len(h[key]) != 1 {
			d.refuse(name, "may appear only once")
			continue
		}
		value, err := url.PathUnescape(h[key][0])
		if err != nil || !utf8.ValidString(value) {
			d.refuse(name, "must be percent-encoded UTF-8")
			continue
		}
		d.setHeader(name, value)
	}
	return d.finish(contextAttributes...)
}

// IsBinary reports whether a request has a CloudEvent in binary mode. One ce-
// header is enough: an event that lacks specversion then gets an error about
// that, and its data is not taken for an event in the short form.
func IsBinary(h http.Header) bool {
	for name := range h {
		if len(name) > 3 && strings.EqualFold(name[:3], "ce-") {
			return true
		}
	}
	return false
}

func parseObject(raw []byte) (*strictjson.Document, error) {
	doc, err := strictjson.Parse(raw, Bounds)
	if err != nil {
		return nil, err
	}
	return doc, mustBeObject(doc)
}

func mustBeObject(doc *strictjson.Document) error {
	if doc.Kind != '{' {
		return malformed("Send the event as one JSON object.")
	}
	return nil
}

func malformed(detail string) error {
	return &Invalid{Code: string(strictjson.Malformed), Detail: detail}
}
