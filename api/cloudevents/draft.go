package cloudevents

import (
	"time"

	"github.com/paylogic/pushserver/internal/strictjson"
	"github.com/paylogic/pushserver/streams/eventlog"

	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"mime"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams/filter"
)

// Bounds of an event.
const (
	maxIDLen      = 128 // bytes
	maxTypeLen    = 128
	maxTextLen    = 256 // of subject, source and dataschema
	maxExtensions = 16
	maxPlaces     = 16 // in one error
)

var (
	eventTypes     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	extensionNames = regexp.MustCompile(`^[a-z0-9]{1,20}$`)
)

// contextAttributes are required in a CloudEvent.
var contextAttributes = []string{"specversion", "id", "source", "type", "merchant"}

// A draft is an event while its attributes are read, and what is wrong with it.
type draft struct {
	kind       string // of the places in errors
	event      eventlog.Event
	test       bool // for the merchant's test log
	seen       map[string]bool
	extensions []strictjson.Member
	places     []Place
}

func newDraft(kind string) *draft { return &draft{kind: kind, seen: make(map[string]bool)} }

func (d *draft) short(doc *strictjson.Document) (log string, e eventlog.Event, err error) {
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

func (d *draft) structured(doc *strictjson.Document) (log string, e eventlog.Event, err error) {
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
	return d.finish(contextAttributes...)
}

// refuse records what is wrong with an attribute. If its name is long or not
// printable, the place is the whole event and the detail quotes the name.
func (d *draft) refuse(name, detail string) {
	d.seen[name] = true
	if len(d.places) == maxPlaces {
		return
	}
	where := "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
	if d.kind == Header {
		where = "ce-" + name
	}
	if len(name) > 40 || !filter.Printable(name) {
		where, detail = "", strictjson.Quote(name)+" "+detail
		if d.kind == Header {
			where = "ce-*"
		}
	}
	d.places = append(d.places, Place{Kind: d.kind, At: where, Detail: detail})
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

// set sets a context attribute that is a string.
func (d *draft) set(name, value string) {
	d.seen[name] = true
	e := &d.event
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
		if _, ok := ParseTime(value); !ok {
			d.refuse(name, "must be a time as in RFC 3339, before the year 10000")
		}
		e.Time = value
	case "merchant":
		e.Merchant = value
	case "datacontenttype":
		if !isJSON(value) {
			d.refuse(name, "must be application/json")
		}
	}
}

// bounded returns the value if an event can have it, else "".
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
		d.test = false
	case "false":
		d.test = true
	default:
		d.refuse("livemode", "must be true or false")
	}
}

func (d *draft) setData(value []byte) {
	d.seen["data"] = true
	d.event.Data = value
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

// finish returns the event and its log, or the first error in this order: the rules
// for events, a reserved type, a name that no merchant can have.
func (d *draft) finish(required ...string) (log string, e eventlog.Event, err error) {
	for _, name := range required {
		if !d.seen[name] {
			d.refuse(name, "is required")
		}
	}
	var invalid *Invalid
	switch {
	case len(d.places) > 0:
		invalid = &Invalid{"schema-violation", "Fix the problems listed in errors, then send the event again.", d.places}
	case strings.HasPrefix(d.event.Type, "stream."):
		invalid = &Invalid{Code: "reserved-type", Detail: "Choose another type: types that begin with stream. are reserved."}
	case !auth.ValidMerchant(d.event.Merchant):
		invalid = &Invalid{Code: "unknown-merchant", Detail: "Check the spelling: a merchant's name has 1 to 64 characters from a-z, 0-9 and the hyphen."}
	}
	if invalid != nil {
		return "", e, invalid
	}
	d.event.Extensions = joinMembers(d.extensions)
	log = d.event.Merchant
	if d.test {
		log += ".test"
		d.event.Extensions = markTest(d.event.Extensions)
	}
	return log, d.event, nil
}

// markTest adds livemode:false to the extensions.
func markTest(extensions []byte) []byte {
	const mark = `"livemode":false}`
	if len(extensions) == 0 {
		return []byte("{" + mark)
	}
	return append(append(extensions[:len(extensions)-1:len(extensions)-1], ','), mark...)
}

// joinMembers returns the members as one object, or nil without any. It sorts them,
// so that an event sent again with its attributes in another order is the same
// event.
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

// isJSON reports whether a content type is JSON in UTF-8 without other parameters.
// Data is delivered without its content type.
func isJSON(contentType string) bool {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != "application/json" {
		return false
	}
	charset, given := params["charset"]
	return len(params) == 0 || len(params) == 1 && given && strings.EqualFold(charset, "utf-8")
}

// ParseTime reads a time in RFC 3339. Its year has four digits, also in UTC.
func ParseTime(s string) (time.Time, bool) {
	const longest = 64 // bytes; RFC 3339 does not bound the digits of a second
	var t time.Time
	if len(s) > longest || t.UnmarshalText([]byte(s)) != nil {
		return t, false
	}
	year := t.UTC().Year()
	return t, 0 <= year && year <= 9999
}
