package api

import (
	"github.com/paylogic/pushserver/internal/strictjson"
	"github.com/paylogic/pushserver/streams/eventlog"

	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams/filter"
)

// Bounds of what is read as JSON. An event has its data one level down.
var (
	dataBounds  = strictjson.Bounds{Depth: 64}
	eventBounds = strictjson.Bounds{Depth: 65, Elements: batchMax}
)

// What an event may have at most.
const (
	maxIDLen      = 128 // bytes
	maxTypeLen    = 128
	maxTextLen    = 256 // of subject, source and dataschema
	maxExtensions = 16
	maxErrors     = 16 // that one answer lists
)

var (
	eventTypes     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	extensionNames = regexp.MustCompile(`^[a-z0-9]{1,20}$`)
)

// A publication is an event as a publisher sent it, and where it goes.
//
// The event's ID, Source and Time are empty where the short form left them out.
// Its Data has the bytes that were sent.
type publication struct {
	merchant string
	test     bool // for the merchant's test log
	event    eventlog.Event
}

// decodeShort reads an event in the short form. Its errors are problems.
func decodeShort(raw []byte) (publication, error) {
	doc, err := scanObject(raw)
	if err != nil {
		return publication{}, err
	}
	d := draft{place: "pointer", seen: make(map[string]bool)}
	for _, m := range doc.Members {
		switch m.Name {
		case "merchant", "type", "subject", "id", "source", "time", "dataschema":
			d.setText(m)
		case "livemode":
			d.setLiveMode(m.Value)
		case "data":
			d.setData(m.Value)
		default:
			d.refuse(m.Name, "is unknown")
		}
	}
	return d.finish("merchant", "type", "data")
}

// decodeStructured reads a CloudEvent in its JSON format (CloudEvents 1.0). Its
// errors are problems.
func decodeStructured(raw []byte) (publication, error) {
	doc, err := strictjson.Parse(raw, eventBounds)
	if err != nil {
		return publication{}, err
	}
	return readStructured(doc)
}

// readStructured is [decodeStructured] for what was scanned already.
func readStructured(doc *strictjson.Document) (publication, error) {
	if err := mustBeObject(doc); err != nil {
		return publication{}, err
	}
	d := draft{place: "pointer", seen: make(map[string]bool)}
	for _, m := range doc.Members {
		if m.Value[0] == 'n' && m.Name != "data" {
			continue // null counts as missing (CloudEvents JSON format, 2.2)
		}
		switch m.Name {
		case "specversion", "id", "source", "type", "subject", "time", "merchant", "dataschema", "datacontenttype":
			d.setText(m)
		case "livemode":
			d.setLiveMode(m.Value)
		case "data":
			d.setData(m.Value)
		case "data_base64":
			d.refuse(m.Name, "is not taken: send JSON in data")
		default:
			d.extend(m.Name, m.Value)
		}
	}
	return d.finish("specversion", "id", "source", "type", "merchant")
}

// decodeBinary reads a CloudEvent in binary mode (CloudEvents HTTP binding, 3.1):
// attributes in ce- headers, percent-decoded once, and data in the body. An
// empty body is an event without data. The caller has looked at Content-Type.
// Its errors are problems.
func decodeBinary(h http.Header, body []byte) (publication, error) {
	d := draft{place: "header", seen: make(map[string]bool)}
	if len(body) > 0 {
		doc, err := strictjson.Parse(body, dataBounds)
		if err != nil {
			return publication{}, err
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
	return d.finish("specversion", "id", "source", "type", "merchant")
}

// scanObject reads a body that must be an object.
func scanObject(raw []byte) (*strictjson.Document, error) {
	doc, err := strictjson.Parse(raw, eventBounds)
	if err != nil {
		return nil, err
	}
	return doc, mustBeObject(doc)
}

func mustBeObject(d *strictjson.Document) error {
	if d.Kind != '{' {
		return problem("malformed-json", "Send the event as one JSON object.")
	}
	return nil
}

// A draft is a publication that is being read, and what is wrong with it.
type draft struct {
	place      string // what names a place in an error: "pointer" or "header"
	pub        publication
	seen       map[string]bool
	extensions []strictjson.Member
	errors     []map[string]any
}

// refuse notes what is wrong with an attribute. A name that is long or cannot be
// shown is quoted in the detail; the place is the whole event then.
func (d *draft) refuse(name, detail string) {
	d.seen[name] = true
	if len(d.errors) == maxErrors {
		return
	}
	where := "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
	if d.place == "header" {
		where = "ce-" + name
	}
	if len(name) > 40 || !filter.Printable(name) {
		where, detail = "", strictjson.Quote(name)+" "+detail
		if d.place == "header" {
			where = "ce-*"
		}
	}
	d.errors = append(d.errors, map[string]any{d.place: where, "detail": detail})
}

func (d *draft) setText(m strictjson.Member) {
	if value, ok := strictjson.Text(m.Value); ok {
		d.set(m.Name, value)
		return
	}
	d.refuse(m.Name, "must be a string")
}

func (d *draft) setHeader(name, value string) {
	switch name {
	case "specversion", "id", "source", "type", "subject", "time", "merchant", "dataschema":
		d.set(name, value)
	case "livemode":
		d.setLiveMode([]byte(value))
	case "data", "datacontenttype":
		d.refuse(name, "is not taken: the body is the data, and Content-Type its type")
	default:
		var out bytes.Buffer
		enc := json.NewEncoder(&out)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(value) // a string always can be
		d.extend(name, bytes.TrimSpace(out.Bytes()))
	}
}

// set sets a context attribute that is a text.
func (d *draft) set(name, value string) {
	d.seen[name] = true
	e := &d.pub.event
	switch name {
	case "specversion":
		if value != "1.0" {
			d.refuse(name, "must be 1.0")
		}
	case "id":
		e.ID = d.bounded(name, value, maxIDLen)
	case "type":
		e.Type = d.bounded(name, value, maxTypeLen)
		if e.Type != "" && !eventTypes.MatchString(e.Type) {
			d.refuse(name, "must be letters, digits, '.', '_' and '-', and begin with a letter or digit")
		}
	case "source":
		e.Source = d.bounded(name, value, maxTextLen)
	case "subject":
		e.Subject = d.bounded(name, value, maxTextLen)
	case "dataschema":
		e.DataSchema = d.bounded(name, value, maxTextLen)
	case "time":
		if _, ok := parseTime(value); !ok {
			d.refuse(name, "must be a time as in RFC 3339, before the year 10000")
		}
		e.Time = value
	case "merchant":
		e.Merchant, d.pub.merchant = value, value
	case "datacontenttype":
		if !isJSON(value) {
			d.refuse(name, "must be application/json")
		}
	}
}

// bounded returns the value if it may stand in an event, else "".
func (d *draft) bounded(name, value string, most int) string {
	switch {
	case value == "":
		d.refuse(name, "must not be empty")
	case len(value) > most:
		d.refuse(name, fmt.Sprintf("has more than %d bytes", most))
	case !filter.Printable(value):
		d.refuse(name, "must have no control or invisible characters")
	default:
		return value
	}
	return ""
}

func (d *draft) setLiveMode(value []byte) {
	d.seen["livemode"] = true
	switch string(value) {
	case "true":
	case "false":
		d.pub.test = true
	default:
		d.refuse("livemode", "must be true or false")
	}
}

func (d *draft) setData(value []byte) {
	d.seen["data"] = true
	d.pub.event.Data = value
}

// extend adds an extension attribute.
func (d *draft) extend(name string, value []byte) {
	if !extensionNames.MatchString(name) {
		d.refuse(name, "is not an extension name: 1 to 20 characters from a-z and 0-9")
		return
	}
	switch value[0] {
	case '"':
		if s, _ := strictjson.Text(value); !filter.Printable(s) {
			d.refuse(name, "must have no control or invisible characters")
		}
	case 't', 'f':
	default:
		if _, err := strconv.ParseInt(string(value), 10, 32); err != nil {
			d.refuse(name, "must be a string, a boolean or an integer of 32 bits")
		}
	}
	if d.extensions = append(d.extensions, strictjson.Member{Name: name, Value: value}); len(d.extensions) == maxExtensions+1 {
		d.refuse(name, fmt.Sprintf("is one too many: an event has at most %d extensions", maxExtensions))
	}
}

// finish returns the publication, or the first of what is wrong in this order:
// the rules for events, a reserved type, a name that no merchant can have.
func (d *draft) finish(required ...string) (publication, error) {
	for _, name := range required {
		if !d.seen[name] {
			d.refuse(name, "is required")
		}
	}
	switch {
	case len(d.errors) > 0:
		return publication{}, problem("schema-violation", "Fix the problems listed in errors, then send the event again.").
			with("errors", d.errors)
	case strings.HasPrefix(d.pub.event.Type, "stream."):
		return publication{}, problem("reserved-type", "Choose another type: types that begin with stream. are reserved.")
	case !auth.ValidMerchant(d.pub.merchant):
		return publication{}, problem("unknown-merchant", "Check the spelling: a merchant's name has 1 to 64 characters from a-z, 0-9 and the hyphen.")
	}
	d.pub.event.Extensions = joinMembers(d.extensions)
	return d.pub, nil
}

// joinMembers returns the members as one object, or nil if there are none. They
// are sorted, so that an event sent again with its attributes in another order
// is the same event.
func joinMembers(members []strictjson.Member) []byte {
	if len(members) == 0 {
		return nil
	}
	slices.SortFunc(members, func(a, b strictjson.Member) int { return cmp.Compare(a.Name, b.Name) })
	out := []byte{'{'}
	for i, m := range members {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendQuote(out, m.Name) // a-z and 0-9
		out = append(out, ':')
		out = append(out, m.Value...)
	}
	return append(out, '}')
}

// isJSON reports whether a content type is JSON in UTF-8 and nothing more: data
// is delivered without it.
func isJSON(contentType string) bool {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != "application/json" {
		return false
	}
	charset, given := params["charset"]
	return len(params) == 0 || len(params) == 1 && given && strings.EqualFold(charset, "utf-8")
}
