package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/eventlog"
)

// endedLog carries notices of ended streams between gateways. No merchant can have
// this name.
const endedLog = "_connections"

// myConnections answers GET /v1/connections.
func (s *Server) myConnections(w http.ResponseWriter, r *http.Request) error {
	c, err := s.holder(w, r)
	if err != nil {
		return err
	}
	leases, err := s.Limiter.List(r.Context(), c.ID)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"connections": s.openConnections(leases)})
}

// endMyConnection answers DELETE /v1/connections/{id}.
func (s *Server) endMyConnection(w http.ResponseWriter, r *http.Request) error {
	c, err := s.holder(w, r)
	if err != nil {
		return err
	}
	ended, err := s.endByRequest(r.Context(), c.ID, r.PathValue("id"))
	if errors.Is(err, ratelimit.ErrNoLease) {
		return problem("not-found", "This key has no open stream with this id. GET /v1/connections lists its streams.")
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, ended)
}

// holder returns the caller of a request about its key's streams. A token is
// refused: it may be on any page, and would reveal the other streams.
func (s *Server) holder(w http.ResponseWriter, r *http.Request) (*caller, error) {
	if _, err := s.query(r); err != nil {
		return nil, err
	}
	c, err := s.authenticate(w, r, auth.Stream)
	if err == nil && c.grant != nil {
		err = problem("wrong-role", "Use a merchant's key: a token cannot list streams.").with("role", "browser")
	}
	return c, err
}

// An openConnection is a stream as GET /v1/connections shows it.
type openConnection struct {
	ID      string    `json:"id"`
	Since   time.Time `json:"since"`
	Gateway string    `json:"gateway,omitempty"`
	leaseInfo
	Lag int64 `json:"lag_ms"` // present even if it is 0
}

// openConnections reads leases. Leases of this gateway show live figures; info that
// another version wrote is omitted.
func (s *Server) openConnections(leases []ratelimit.Lease) []openConnection {
	all := make([]openConnection, len(leases))
	for i, l := range leases {
		if own := s.connections.find(l.Key, l.ID); own != nil {
			l.Info = own.info()
		}
		all[i] = openConnection{ID: l.ID, Since: l.Since.UTC(), Gateway: l.Gateway}
		_ = json.Unmarshal(l.Info, &all[i].leaseInfo)
		all[i].Lag = all[i].leaseInfo.Lag
	}
	return all
}

// endConnection ends a stream, and reports whether this gateway serves it.
func (s *Server) endConnection(key, id string, why streams.Goodbye) bool {
	c := s.connections.find(key, id)
	if c != nil {
		c.end(why)
	}
	return c != nil
}

// An endedNotice says that another gateway must end a stream.
type endedNotice struct {
	Key        string `json:"key"`
	Connection string `json:"connection"`
	Reason     string `json:"reason"`
}

// announceEnd ends a stream whose lease has ended, on any gateway. A gateway that
// misses the notice learns of it at the next renewal.
func (s *Server) announceEnd(ctx context.Context, l ratelimit.Lease, reason string) {
	if s.endConnection(l.Key, l.ID, streams.Goodbye{Reason: reason, Retry: goodbyeForGood}) {
		return
	}
	data, err := json.Marshal(endedNotice{l.Key, l.ID, reason})
	if err == nil {
		_, err = s.Log.Append(ctx, endedLog, []eventlog.Event{{
			ID: uuid.Must(uuid.NewV7()).String(), Source: "/connections", Type: "connection.ended", Subject: l.ID,
			Time: time.Now().UTC().Format(time.RFC3339Nano), Merchant: endedLog, Data: data,
		}})
	}
	if err != nil {
		s.Logger.Debug("the end of a stream was not announced", "error", err)
	}
}

// followEnded ends the streams that other gateways announce, until ctx is done.
func (s *Server) followEnded(ctx context.Context) {
	s.follow(ctx, endedLog, func() {}, func(_ time.Time, page streams.Page) {
		for i := range page.Entries {
			var notice endedNotice
			if err := json.Unmarshal(page.Entries[i].Event.Data, &notice); err == nil {
				s.endConnection(notice.Key, notice.Connection, streams.Goodbye{Reason: notice.Reason, Retry: goodbyeForGood})
			}
		}
	})
}

// endByRequest ends a stream of a key on any gateway. Its errors are those of
// [ratelimit.Leases].
func (s *Server) endByRequest(ctx context.Context, key, id string) (openConnection, error) {
	l, err := s.Limiter.End(ctx, key, id)
	if errors.Is(err, ratelimit.ErrNoLease) {
		if own := s.connections.find(key, id); own != nil { // the queue has not reported it yet
			l, err = own.lease(), nil
		}
	}
	if err != nil {
		return openConnection{}, err
	}
	was := s.openConnections([]ratelimit.Lease{l})[0]
	s.announceEnd(ctx, l, endedByRequest)
	return was, nil
}
