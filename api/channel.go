package api

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/filter"
)

// defaultChannel is the default of flask-sse.
const defaultChannel = "sse"

// A Channel is a channel of flask-sse: the events of a merchant whose subject is the
// channel's name.
type Channel struct {
	Name     string // a trailing * matches any rest
	Merchant string
	Keyed    bool // needs a key of the merchant
}

// ParseChannel reads a channel: "news=acme", "shop-*=acme", or "news=acme:key" if it
// needs a key.
func ParseChannel(text string) (Channel, error) {
	name, merchant, found := strings.Cut(text, "=")
	c := Channel{Name: strings.TrimSpace(name), Merchant: strings.TrimSpace(merchant)}
	if m, ok := strings.CutSuffix(c.Merchant, ":key"); ok {
		c.Merchant, c.Keyed = m, true
	}
	switch {
	case !found || c.Name == "" || c.Name == "*" || strings.Contains(strings.TrimSuffix(c.Name, "*"), "*") || !filter.Printable(c.Name) || len(c.Name) > filter.MaxPattern:
		return c, fmt.Errorf("%q: must be CHANNEL=MERCHANT or CHANNEL=MERCHANT:key; the channel's name may end with *", text)
	case !auth.ValidMerchant(c.Merchant):
		return c, fmt.Errorf("%q: the merchant's name must have 1 to 64 characters from a-z, 0-9 and -", text)
	}
	return c, nil
}

// Match reports whether the channel has this name.
func (c Channel) Match(name string) bool {
	if prefix, ok := strings.CutSuffix(c.Name, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return name == c.Name
}

// FindChannel returns the first channel with the name.
func FindChannel(channels []Channel, name string) (Channel, bool) {
	for _, c := range channels {
		if c.Match(name) {
			return c, true
		}
	}
	return Channel{}, false
}

// channel answers GET /stream as flask-sse does.
func (s *Server) channel(w http.ResponseWriter, r *http.Request) error {
	q, err := s.query(r)
	if err != nil {
		return err
	}
	name := cmp.Or(q["channel"], defaultChannel)
	c, f := s.channelFilter(name)
	if f == nil {
		return noChannel()
	}
	var who *caller
	if c.Keyed {
		if who, err = s.streamCaller(w, r, q); err != nil {
			return err
		}
		if who.Merchant != c.Merchant {
			return noChannel()
		}
	}
	allowOrigin(w, r)
	if err := s.checkQuery(r, q); err != nil {
		return err
	}
	if accepts(r, eventStream) == "" {
		return problem("not-acceptable", "Accept "+eventStream+".")
	}
	after, invalid, err := cursor(r, q)
	if err != nil {
		return err
	}
	o := openRequest{
		caller: who, form: eventStream, preface: padding(q),
		stream: streams.Request{
			Framing: streams.SSEChannel, Connection: newConnectionID(), Log: c.Merchant, Filter: f,
			Start: streams.Start{Invalid: invalid, After: after}, Conflate: true,
		},
	}
	if q["names"] == "off" {
		o.stream.Framing = streams.SSEUnnamed
	}
	if r.Method == http.MethodHead {
		return answerHead(w, eventStream)
	}
	if who != nil { // the channel narrows what the key may see
		o.narrowing = s.filters.share(filter.Clause{Subjects: []string{name}})
		o.stream.Log = who.Log()
		if o.stream.Filter, err = s.narrow(who, o.narrowing); err != nil {
			return err
		}
	}
	switch {
	case q["poll"] == "1":
		return s.poll(w, r, o)
	case who != nil:
		return s.open(w, r, o)
	}
	return s.openPublic(w, r, o)
}

// channelFilter returns the channel of this name and the filter of its events, or
// nil if there is no such channel.
func (s *Server) channelFilter(name string) (Channel, *filter.Filter) {
	c, ok := FindChannel(s.Channels, name)
	if !ok || strings.Contains(name, "*") { // the name must not be a pattern
		return c, nil
	}
	f, err := filter.Compile(filter.Clause{Subjects: []string{name}})
	if err != nil {
		return c, nil
	}
	return c, f
}

func noChannel() *Problem {
	return problem("not-found", "The server does not serve this channel. Its operator lists the channels with --legacy-channels.")
}

// openPublic answers with a stream that needs no key.
func (s *Server) openPublic(w http.ResponseWriter, r *http.Request, o openRequest) error {
	deliveries := s.Limits.Of(policy.Deliveries)
	o.stream.Rate, o.stream.RateWindow = deliveries.Quota, deliveries.Window
	sub, err := s.Hub.Subscribe(r.Context(), o.stream)
	if err != nil {
		return err
	}
	streamHeader(w.Header(), o.form)
	s.poller.Serve(w, r, sub, o.preface, nil)
	return nil
}
