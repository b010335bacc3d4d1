package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/paylogic/pushserver/api/cloudevents"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/internal/strictjson"
	"github.com/paylogic/pushserver/ratelimit"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

// DemoMerchant is whose events the demo pages show.
const DemoMerchant = "demo"

const (
	demoTickets = "event/42/type/7"
	demoSeats   = "event/42/seat/"
	demoStock   = 20 // tickets that are put on sale at a time
	demoMost    = 200
	demoRows    = "ABCDEF"
	demoColumns = 10
	demoLife    = 30 * time.Minute // of a page's token
)

// A demo is a small shop: pages that follow it, and the requests by which they buy.
// Nobody needs a key for it.
type demo struct {
	server *Server
	key    *auth.Key // whose tokens the pages have

	mu   sync.Mutex // guards own, and is held while something is sold
	own  map[string]eventlog.Entry
	seen *filter.Filter
}

func newDemo(s *Server, key *auth.Key) *demo {
	all, err := filter.Compile()
	if err != nil {
		panic("api: a filter without clauses does not compile: " + err.Error())
	}
	return &demo{server: s, key: key, own: make(map[string]eventlog.Entry), seen: all}
}

// DemoKey returns the key of the demo in a store, and makes it if there is none.
func DemoKey(ctx context.Context, store auth.Store) (*auth.Key, error) {
	for key, err := range auth.AllKeys(ctx, store) {
		if err != nil {
			return nil, err
		}
		if key.Kind == auth.Live && key.Merchant == DemoMerchant && key.Usable(time.Now()) == nil {
			return key, nil
		}
	}
	_, key, err := auth.Issue(ctx, store, auth.Key{
		Kind: auth.Live, Merchant: DemoMerchant, Name: "demo pages", Clause: filter.Clause{Types: []string{"ticket.availability", "seat.status"}}, Limits: policy.Largest(),
	})
	return key, err
}

// serve answers the requests of the demo's pages.
func (d *demo) serve(w http.ResponseWriter, r *http.Request) error {
	action := strings.TrimPrefix(r.URL.Path, "/demo/")
	if action == "token" {
		if r.Method != http.MethodGet {
			return problem("method-not-allowed", "Use GET.").header("Allow", "GET")
		}
		return d.token(w, r)
	}
	if r.Method != http.MethodPost {
		return problem("method-not-allowed", "Use POST.").header("Allow", "POST")
	}
	if v := d.server.limiter.Take(r.Context(), ratelimit.Ask{
		Key: "demo", Charges: []ratelimit.Charge{{Policy: d.server.limits.Of(policy.Publishes), N: 1}},
	}); !v.Allowed {
		return d.server.quotaProblem(v, nil)
	}
	switch seat, isSeat := strings.CutPrefix(action, "seats/"); {
	case action == "buy":
		return d.sell(w, r, -1)
	case action == "restock":
		return d.sell(w, r, demoStock)
	case isSeat:
		return d.click(w, r, seat)
	}
	return problem("not-found", "The demo sells tickets and seats.")
}

// token answers with a token for the page, on whatever host it is.
func (d *demo) token(w http.ResponseWriter, r *http.Request) error {
	scheme := "http://"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https://"
	}
	token, grant, err := d.server.tokens.Mint(d.key, auth.TokenRequest{Origin: scheme + r.Host, Life: demoLife})
	if err != nil {
		return problem("not-found", "The demo does not serve this host.")
	}
	return writeJSON(w, http.StatusOK, mintedToken{token.Reveal(), grant.ID, grant.Origin, grant.Expires})
}

// current returns the data of the newest event of a subject, as far as it is known
// here.
func (d *demo) current(ctx context.Context, typ, subject string, into any) error {
	state, err := d.server.hub.State(ctx, DemoMerchant, d.seen)
	if err != nil {
		return err
	}
	newest := d.own[subject]
	for _, e := range state.Entries {
		if e.Event.Type == typ && e.Event.Subject == subject && e.ID.Compare(newest.ID) >= 0 {
			newest = e
		}
	}
	if newest.Event.Data == nil {
		return nil
	}
	return json.Unmarshal(newest.Event.Data, into)
}

// publish publishes what is true of a subject now.
func (d *demo) publish(ctx context.Context, typ, subject string, data any) (eventlog.ID, error) {
	text, err := json.Marshal(data)
	if err != nil {
		return eventlog.ID{}, err
	}
	event := eventlog.Event{
		ID: uuid.Must(uuid.NewV7()).String(), Source: "/demo", Type: typ, Subject: subject,
		Time: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), Merchant: DemoMerchant, Data: text, State: true,
	}
	receipt, err := d.server.append(ctx, DemoMerchant, event)
	if err != nil {
		return eventlog.ID{}, err
	}
	d.own[subject] = eventlog.Entry{ID: receipt.ID, Event: event}
	return receipt.ID, nil
}

// sell changes the number of tickets.
func (d *demo) sell(w http.ResponseWriter, r *http.Request, change int) error {
	d.mu.Lock() // one buyer at a time, the storage included: it is a demo
	defer d.mu.Unlock()
	now := struct {
		Available int `json:"available"`
	}{demoStock}
	if err := d.current(r.Context(), "ticket.availability", demoTickets, &now); err != nil {
		return err
	}
	if now.Available += change; now.Available < 0 || now.Available > demoMost {
		return writeJSON(w, http.StatusConflict, map[string]string{"reason": "no tickets are left, or no more can be added"})
	}
	position, err := d.publish(r.Context(), "ticket.availability", demoTickets, now)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"position": position, "available": now.Available})
}

// click takes a seat for a buyer, or gives it back.
func (d *demo) click(w http.ResponseWriter, r *http.Request, seat string) error {
	row, number := "", 0
	if _, err := fmt.Sscanf(seat, "%1s%d", &row, &number); err != nil || !strings.Contains(demoRows, row) ||
		number < 1 || number > demoColumns || seat != fmt.Sprintf("%s%d", row, number) {
		return problem("not-found", "This seat does not exist.")
	}
	doc, err := readObject(w, r, keyMax, cloudevents.ShortType)
	if err != nil {
		return err
	}
	buyer := ""
	for _, m := range doc.Members {
		if m.Name == "buyer" {
			buyer, _ = strictjson.Text(m.Value)
		}
	}
	if buyer == "" || len(buyer) > 40 || !filter.Printable(buyer) {
		return fieldProblem(&auth.FieldError{Field: "buyer", Reason: "must name the buyer in 1 to 40 characters"})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var now struct {
		Status string `json:"status"`
		By     string `json:"by,omitempty"`
	}
	if err := d.current(r.Context(), "seat.status", demoSeats+seat, &now); err != nil {
		return err
	}
	switch {
	case now.Status != "held":
		now.Status, now.By = "held", buyer
	case now.By == buyer:
		now.Status, now.By = "available", ""
	default:
		return writeJSON(w, http.StatusConflict, map[string]string{"reason": "somebody else has it"})
	}
	position, err := d.publish(r.Context(), "seat.status", demoSeats+seat, now)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"position": position, "status": now.Status})
}
