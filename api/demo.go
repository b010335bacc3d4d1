package api

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/paylogic/pushserver/api/cloudevents"
	"github.com/paylogic/pushserver/api/demo"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/internal/strictjson"
	"github.com/paylogic/pushserver/ratelimit"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/filter"
)

const demoTokenLife = 30 * time.Minute

// demoPages serves the requests of the demo pages, which need no key.
type demoPages struct {
	server *Server
	key    *auth.Key // of the pages' tokens
	shop   *demo.Shop
}

func newDemoPages(s *Server, key *auth.Key) *demoPages {
	return &demoPages{server: s, key: key, shop: demo.New(s.Hub, s.append)}
}

func (d *demoPages) serve(w http.ResponseWriter, r *http.Request) error {
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
	if v := d.server.Limiter.Take(r.Context(), ratelimit.Ask{
		Key: "demo", Charges: []ratelimit.Charge{{Policy: d.server.Limits.Of(policy.Publishes), N: 1}},
	}); !v.Allowed {
		return d.server.quotaProblem(v, nil)
	}
	switch seat, isSeat := strings.CutPrefix(action, "seats/"); {
	case action == "buy":
		return d.sell(w, r, -1)
	case action == "restock":
		return d.sell(w, r, demo.Stock)
	case isSeat:
		return d.click(w, r, seat)
	}
	return problem("not-found", "The demo sells tickets and seats.")
}

// token answers with a token for pages of the host that the request names.
func (d *demoPages) token(w http.ResponseWriter, r *http.Request) error {
	scheme := "http://"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https://"
	}
	token, grant, err := d.server.Tokens.Mint(d.key, auth.TokenRequest{Origin: scheme + r.Host, Life: demoTokenLife})
	if err != nil {
		return problem("not-found", "The demo does not serve this host.")
	}
	return writeJSON(w, http.StatusOK, mintedToken{token.Reveal(), grant.ID, grant.Origin, grant.Expires})
}

func (d *demoPages) sell(w http.ResponseWriter, r *http.Request, change int) error {
	tickets, err := d.shop.Sell(r.Context(), change)
	if errors.Is(err, demo.ErrStock) {
		return writeJSON(w, http.StatusConflict, map[string]string{"reason": "no tickets are left, or no more can be added"})
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, tickets)
}

func (d *demoPages) click(w http.ResponseWriter, r *http.Request, seat string) error {
	if !demo.HasSeat(seat) {
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
	taken, err := d.shop.Click(r.Context(), seat, buyer)
	if errors.Is(err, demo.ErrTaken) {
		return writeJSON(w, http.StatusConflict, map[string]string{"reason": "another buyer has it"})
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, taken)
}
