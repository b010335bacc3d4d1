package api

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit"
	"github.com/paylogic/pushserver/ratelimit/policy"
)

// A Limiter decides what keys may do now, and keeps the leases of their open
// streams.
type Limiter interface {
	ratelimit.Limiter
	ratelimit.Leases
}

// largest paces the streams of a server without limits.
var largest = policy.Largest()

// limit returns the policy of this name that applies to a key: its own, or the
// server's.
func (s *Server) limit(k *auth.Key, name string) policy.Policy {
	if s.Unlimited {
		return largest.Of(name)
	}
	if own, ok := k.Limits.Lookup(name); ok {
		return own
	}
	return s.Limits.Of(name)
}

// limitsOf returns all limits that apply to a key.
func (s *Server) limitsOf(k *auth.Key) policy.Limits {
	if s.Unlimited {
		return largest
	}
	return s.Limits.With(k.Limits...)
}

// cost charges a caller for n of what a policy limits.
func (s *Server) cost(c *caller, name string, n int) ratelimit.Charge {
	return ratelimit.Charge{Policy: s.limit(c.Key, name), N: n}
}

// charge charges a request to the limits of the caller's key in one round trip, and
// sets the headers that say what is left. Its error is the problem quota-exceeded.
func (s *Server) charge(w http.ResponseWriter, r *http.Request, c *caller, charges ...ratelimit.Charge) error {
	_, err := s.take(w, r, c, ratelimit.Ask{Charges: charges})
	return err
}

// ask returns the limiter's verdict. Without limits a verdict has no decisions.
func (s *Server) ask(ctx context.Context, ask ratelimit.Ask) ratelimit.Verdict {
	if s.Unlimited {
		return ratelimit.Verdict{Allowed: true}
	}
	return s.Limiter.Take(ctx, ask)
}

// take is charge for an ask. It sets the ask's key.
func (s *Server) take(w http.ResponseWriter, r *http.Request, c *caller, ask ratelimit.Ask) (ratelimit.Verdict, error) {
	ask.Key = c.ID
	v := s.ask(r.Context(), ask)
	if a, ok := w.(*answer); ok {
		a.charged = true
	}
	if policy, limit := ratelimit.Header(v.Decisions); policy != "" {
		w.Header().Set("RateLimit-Policy", policy)
		w.Header().Set("RateLimit", limit)
	}
	if !v.Allowed {
		return v, s.quotaProblem(v, c)
	}
	return v, nil
}

// quotaProblem says which limits were exceeded, when to retry, and which streams
// hold the places. A nil caller has no key.
func (s *Server) quotaProblem(v ratelimit.Verdict, c *caller) *Problem {
	var violated []string
	detail := "Wait as long as Retry-After says."
	for _, d := range v.Decisions {
		switch {
		case d.Allowed:
			continue
		case d.Never:
			detail = "Send less at once. This request is larger than the whole quota."
		case d.Policy.Concurrent() && (c == nil || c.grant != nil):
			detail = "Wait until another stream ends."
		case d.Policy.Name == policy.Streams:
			detail = "End one of the key's open streams, listed in connections, or replace the oldest with takeover=oldest."
		case d.Policy.Name == policy.Filters:
			detail = "Use the same filter for more streams and waiting pages of this key, or end one of its streams."
		}
		violated = append(violated, d.Policy.Name)
	}
	p := problem("quota-exceeded", detail).with("violated_policies", violated)
	if wait := v.Retry(); wait > 0 {
		p.header("Retry-After", strconv.Itoa(retryAfter(wait)))
	}
	if len(v.InTheWay) > 0 && c != nil && c.grant == nil { // a token does not see the streams of others
		p.with("connections", s.openConnections(v.InTheWay))
	}
	return p
}

// retryAfter returns wait in whole seconds, plus up to a quarter at random, so that
// clients do not return together.
func retryAfter(wait time.Duration) int {
	wait += rand.N(wait/4 + 1)
	return max(1, int((wait+time.Second-1)/time.Second))
}

// chargeRefusal charges for a request that was refused before anything was charged.
// It returns p, or the problem that a limit refuses even that charge.
func (s *Server) chargeRefusal(a *answer, r *http.Request, p *Problem) *Problem {
	switch {
	case a.caller != nil && !a.charged && r.Context().Err() == nil:
		if err := s.charge(a, r, a.caller, s.cost(a.caller, policy.Requests, 1)); err != nil {
			return problemOf(err)
		}
	case p.Status == http.StatusUnauthorized:
		if wait := s.addresses.Fail(s.clientAddr(r)); wait > 0 {
			return problem("quota-exceeded", "Too many requests from this address had no valid key. Wait as long as Retry-After says.").
				with("violated_policies", []string{"failed-authentications"}).
				header("Retry-After", strconv.Itoa(min(60, retryAfter(wait))))
		}
	}
	return p
}

// clientAddr returns the address of a request's client, behind trusted proxies.
func (s *Server) clientAddr(r *http.Request) netip.Addr {
	return ratelimit.ClientAddr(r.RemoteAddr, r.Header["X-Forwarded-For"], s.Trusted)
}

// replayed charges for n replayed events, and returns how long to wait before the
// next read. All streams of a key share one limit on all gateways.
func (c *connection) replayed(n int) time.Duration {
	c.mu.Lock()
	key := c.caller.Key
	c.mu.Unlock()
	s := c.set.server
	limit := s.limit(key, policy.Replay)
	if c.unbilled += int32(n); int(c.unbilled) < min(replayAtOnce, limit.Quota) {
		return 0
	}
	charged := min(int(c.unbilled), limit.Quota)
	v := s.ask(context.Background(), ratelimit.Ask{
		Key: key.ID, Charges: []ratelimit.Charge{{Policy: limit, N: charged}},
	})
	if v.Allowed {
		c.unbilled -= int32(charged)
		return 0
	}
	return max(v.Retry(), time.Millisecond) // the next call charges the rest
}

// replayAtOnce is how many events a stream replays before they are charged, so that
// a short absence costs no round trip.
const replayAtOnce = 256

// chargePage charges cost for a request that reads the log. It refuses the request
// if nothing is left of the key's replay limit.
func (s *Server) chargePage(w http.ResponseWriter, r *http.Request, c *caller, cost ratelimit.Charge) error {
	v, err := s.take(w, r, c, ratelimit.Ask{Charges: []ratelimit.Charge{s.cost(c, policy.Replay, 0), cost}})
	if err != nil || len(v.Decisions) == 0 || v.Decisions[0].Remaining > 0 {
		return err
	}
	v.Decisions[0].Allowed, v.Decisions[0].Retry = false, max(v.Decisions[0].Reset, time.Second)
	return s.quotaProblem(v, c)
}

// chargeReplay charges for the events that a page read from the log, or takes all
// that is left.
func (s *Server) chargeReplay(r *http.Request, c *caller, n int) {
	limit := s.limit(c.Key, policy.Replay)
	ask := func(n int) ratelimit.Verdict {
		return s.ask(r.Context(), ratelimit.Ask{Key: c.ID, Charges: []ratelimit.Charge{{Policy: limit, N: n}}})
	}
	if n == 0 {
		return
	}
	if v := ask(min(n, limit.Quota)); !v.Allowed {
		ask(v.Decisions[0].Remaining)
	}
}
