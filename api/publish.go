package api

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/paylogic/pushserver/api/cloudevents"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

const (
	// publishPatience bounds the time until an answer when Redis gives none. The
	// time in which the client sends the body does not count.
	publishPatience = 1400 * time.Millisecond

	// batchLogs bounds the logs that one batch is written to concurrently.
	batchLogs = 16
)

// accepted is the answer to an event that is stored.
type accepted struct {
	ID         string              `json:"id"`
	Position   eventlog.ID         `json:"position"`
	Merchant   string              `json:"merchant"`
	Durability eventlog.Durability `json:"durability,omitempty"`
	Duplicate  bool                `json:"duplicate,omitempty"`
}

// publish answers POST /v1/events.
func (s *Server) publish(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.query(r); err != nil {
		return err
	}
	began := time.Now()
	bounded, cancel := context.WithTimeout(r.Context(), publishPatience)
	defer cancel()
	key, err := s.authorize(w, r.WithContext(bounded), auth.Publish)
	if err != nil {
		return err
	}
	patience := publishPatience - time.Since(began) // the body's time is the client's
	form, err := mediaType(r.Header, cloudevents.ShortType, cloudevents.StructuredType, cloudevents.BatchType)
	if err != nil {
		return err
	}
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	bounded, cancel = context.WithTimeout(r.Context(), patience)
	defer cancel()
	r = r.WithContext(bounded)
	var (
		log string
		e   eventlog.Event
	)
	switch {
	case form == cloudevents.BatchType:
		return s.publishBatch(w, r, key, body)
	case form == cloudevents.StructuredType:
		log, e, err = cloudevents.DecodeStructured(body)
	case cloudevents.IsBinary(r.Header):
		log, e, err = cloudevents.DecodeBinary(r.Header, body)
	default:
		log, e, err = cloudevents.DecodeShort(body)
	}
	if err != nil {
		return err
	}
	if err := s.admit(r.Context(), key.Key, &e); err != nil {
		return err
	}
	if err := s.charge(w, r, key, s.cost(key, policy.Publishes, 1)); err != nil {
		return err
	}
	receipt, err := s.append(r.Context(), log, e)
	if err != nil {
		return err
	}
	status := http.StatusCreated
	if receipt.Duplicate {
		status = http.StatusOK
	}
	return writeJSON(w, status, s.accepted(&e, receipt))
}

// append appends one complete event to its log.
func (s *Server) append(ctx context.Context, log string, e eventlog.Event) (eventlog.Receipt, error) {
	receipts, err := s.Log.Append(ctx, log, []eventlog.Event{e})
	if err != nil {
		return eventlog.Receipt{}, err
	}
	return receipts[0], receipts[0].Err
}

func (s *Server) accepted(e *eventlog.Event, receipt eventlog.Receipt) accepted {
	return accepted{
		ID: e.ID, Position: receipt.ID, Merchant: e.Merchant,
		Durability: s.Log.Durability(), Duplicate: receipt.Duplicate,
	}
}

// admit checks that the key may publish the event, and completes it.
func (s *Server) admit(ctx context.Context, key *auth.Key, e *eventlog.Event) error {
	if !filter.MatchType(key.Types, e.Type) {
		return problem("scope-missing", "This key may not publish events of this type. granted lists the types it may publish.").
			with("missing", []string{e.Type}).with("granted", key.Types)
	}
	if !key.MayPublishTo(e.Merchant) {
		return problem("scope-missing", "This key may not publish for this merchant. granted lists the merchants it may publish for.").
			with("missing", []string{e.Merchant}).with("granted", key.Merchants)
	}
	return s.complete(ctx, key, e)
}

// complete checks an event that the key may publish, and fills in what it lacks.
func (s *Server) complete(ctx context.Context, key *auth.Key, e *eventlog.Event) error {
	e.State = s.isState(e.Type)
	if err := s.checkData(e); err != nil {
		return err
	}
	exists, err := s.Keyring.MerchantExists(ctx, e.Merchant)
	if err != nil {
		return err
	}
	if !exists {
		return problem("unknown-merchant", "No merchant has this name. Check the spelling, or create the merchant first.")
	}
	if e.ID == "" {
		e.ID = uuid.Must(uuid.NewV7()).String()
	}
	if e.Source == "" {
		e.Source = "/keys/" + key.ID
	}
	if e.Time == "" {
		e.Time = time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return nil
}

// batchResult is the answer to one event of a batch.
type batchResult struct {
	Status int `json:"status"`
	*accepted
	Problem map[string]any `json:"problem,omitempty"`
}

// batchAnswer is the answer to a batch.
type batchAnswer struct {
	Accepted   int                 `json:"accepted"`
	Duplicates int                 `json:"duplicates"`
	Failed     int                 `json:"failed"`
	Durability eventlog.Durability `json:"durability"`
	Results    []batchResult       `json:"results"`
}

// publishBatch answers each event of a batch separately. It appends the events of one
// log together and in order, and writes to several logs concurrently.
func (s *Server) publishBatch(w http.ResponseWriter, r *http.Request, key *caller, body []byte) error {
	room := min(cloudevents.MaxBatch, bytes.Count(body, []byte("specversion"))) // about once in each event
	batch := make([]batchEvent, 0, room)
	err := cloudevents.DecodeBatch(body, func(log string, e eventlog.Event, err error) {
		batch = append(batch, batchEvent{log: log, event: e, err: err})
	})
	if err != nil {
		return err
	}
	if err := s.charge(w, r, key, s.cost(key, policy.Publishes, len(batch))); err != nil {
		return err
	}
	logs := make(map[string][]*batchEvent)
	for i := range batch {
		b := &batch[i]
		if b.err == nil {
			b.err = s.admit(r.Context(), key.Key, &b.event)
		}
		if b.err == nil {
			logs[b.log] = append(logs[b.log], b)
		}
	}

	var group errgroup.Group
	group.SetLimit(batchLogs)
	for log, events := range logs {
		group.Go(func() error {
			s.appendBatch(r.Context(), log, events)
			return nil
		})
	}
	_ = group.Wait() // each event has its own error

	answer := batchAnswer{Durability: s.Log.Durability(), Results: make([]batchResult, len(batch))}
	for i := range batch {
		answer.add(i, &batch[i], s.itemProblem(w, batch[i].err))
	}
	if answer.Failed > 0 {
		return writeJSON(w, http.StatusMultiStatus, answer)
	}
	return writeJSON(w, http.StatusOK, answer)
}

// A batchEvent is one event of a batch, on its way to the log.
type batchEvent struct {
	log     string
	event   eventlog.Event
	receipt eventlog.Receipt
	err     error
}

// appendBatch appends the events of a batch that belong to one log.
func (s *Server) appendBatch(ctx context.Context, log string, batch []*batchEvent) {
	events := make([]eventlog.Event, len(batch))
	for i, b := range batch {
		events[i] = b.event
	}
	receipts, err := s.Log.Append(ctx, log, events)
	for i, b := range batch {
		if b.err = err; err == nil {
			b.receipt, b.err = receipts[i], receipts[i].Err
		}
	}
}

// itemProblem returns the problem that answers one event, or nil.
func (s *Server) itemProblem(w http.ResponseWriter, err error) *Problem {
	if err == nil {
		return nil
	}
	p := problemOf(err)
	if p == nil {
		s.Logger.Error("an event of a batch failed", "request_id", w.Header().Get("X-Request-Id"), "error", err)
		p = problem("internal-error", "Send the event again with the same id.")
	}
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	return p.with("request_id", w.Header().Get("X-Request-Id"))
}

func (a *batchAnswer) add(i int, b *batchEvent, refusal *Problem) {
	result := &a.Results[i]
	if refusal != nil {
		a.Failed++
		id, _ := refusal.Extra["request_id"].(string)
		result.Status, result.Problem = refusal.Status, refusal.document(id)
		return
	}
	result.accepted = &accepted{ID: b.event.ID, Position: b.receipt.ID, Merchant: b.event.Merchant, Duplicate: b.receipt.Duplicate}
	if b.receipt.Duplicate {
		a.Duplicates++
		result.Status = http.StatusOK
	} else {
		a.Accepted++
		result.Status = http.StatusCreated
	}
}
