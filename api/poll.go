package api

import (
	"net/http"
	"time"

	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams"
)

// pollWait is well under the 50 s after which the clients that need this give up a
// response. Tests shorten it.
var pollWait = 20 * time.Second

// paddingSize is how much some clients want of a response before they see any of
// it.
const paddingSize = 2 << 10

// padding returns a comment that a client asks for before everything else.
func padding(q query) []byte {
	if q["padding"] != "1" && q["padding"] != "true" {
		return nil
	}
	text := make([]byte, 0, paddingSize+3)
	text = append(text, ':')
	for len(text) <= paddingSize {
		text = append(text, ' ')
	}
	return append(text, "\n\n"...)
}

// poll answers a request for a stream with one that ends: with what there is after
// the position, or what comes within a while.
func (s *Server) poll(w http.ResponseWriter, r *http.Request, c *caller, q query, form string, req streams.Request) error {
	if c != nil {
		if err := s.chargePage(w, r, c, s.cost(c, policy.Connects, 1)); err != nil {
			return err
		}
	}
	page, err := s.Hub.Page(r.Context(), streams.PageRequest{
		Log: req.Log, Filter: req.Filter, Start: req.Start, Limit: pageMax, Wait: pollWait,
	})
	if err != nil {
		return err
	}
	if c != nil {
		s.chargeReplay(r, c, page.Read)
	}
	streamHeader(w.Header(), form)
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(append(padding(q), req.Framing.Answer(page)...)) // the client left; there is nobody to tell
	return nil
}
