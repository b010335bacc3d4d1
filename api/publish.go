package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/internal/strictjson"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

const (
	bodyMax     = 256 << 10
	bodyTimeout = 10 * time.Second

	// bodyAtOnce is how much of a body has room before it is there.
	bodyAtOnce = 64 << 10

	// publishPatience is how long a publisher waits for an answer when Redis
	// gives none, the time of the request's body apart.
	publishPatience = 1400 * time.Millisecond
	batchMax        = 1000

	// batchLogs is how many logs a batch is written to at the same time.
	batchLogs = 16
)

// accepted is the answer to an event that is safe.
type accepted struct {
	ID         string              `json:"id"`
	Position   eventlog.ID         `json:"position"`
	Merchant   string              `json:"merchant"`
	Durability eventlog.Durability `json:"durability,omitempty"`
	Duplicate  bool                `json:"duplicate,omitempty"`
}

// publish answers POST /v1/events.
func (s *Server) publish(w http.ResponseWriter, r *http.Request) error {
	if err := noParameters(r); err != nil {
		return err
	}
	began := time.Now()
	bounded, cancel := context.WithTimeout(r.Context(), publishPatience)
	defer cancel()
	key, err := s.authorize(w, r.WithContext(bounded), auth.Publish)
	if err != nil {
		return err
	}
	patience := publishPatience - time.Since(began) // the time of the body is the client's
	form, err := contentForm(r.Header)
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
	var p publication
	switch {
	case form == batchForm:
		return s.publishBatch(w, r, key, body)
	case form == structuredForm:
		p, err = decodeStructured(body)
	case isBinary(r.Header):
		p, err = decodeBinary(r.Header, body)
	default:
		p, err = decodeShort(body)
	}
	if err != nil {
		return err
	}
	if err := s.admit(r.Context(), key.Key, &p); err != nil {
		return err
	}
	if err := s.charge(w, r, key, s.cost(key, policy.Publishes, 1)); err != nil {
		return err
	}
	receipts, err := s.log.Append(r.Context(), p.log(), []eventlog.Event{p.event})
	if err != nil {
		return err
	}
	receipt := receipts[0]
	if receipt.Err != nil {
		return receipt.Err
	}
	status := http.StatusCreated
	if receipt.Duplicate {
		status = http.StatusOK
	}
	return writeJSON(w, status, accepted{
		ID: p.event.ID, Position: receipt.ID, Merchant: p.merchant,
		Durability: s.log.Durability(), Duplicate: receipt.Duplicate,
	})
}

// log returns the name of the log that the event belongs to.
func (p *publication) log() string {
	if p.test {
		return p.merchant + ".test"
	}
	return p.merchant
}

// admit checks that the key may publish p, and completes it.
func (s *Server) admit(ctx context.Context, key *auth.Key, p *publication) error {
	e := &p.event
	if !filter.MatchType(key.Types, e.Type) {
		return problem("scope-missing", "This key may not publish events of this type. granted lists the types it may publish.").
			with("missing", []string{e.Type}).with("granted", key.Types)
	}
	if !key.MayPublishTo(p.merchant) {
		return problem("scope-missing", "This key may not publish for this merchant. granted lists the merchants it may publish for.").
			with("missing", []string{p.merchant}).with("granted", key.Merchants)
	}
	return s.complete(ctx, key, p)
}

// complete checks an event that may be published by whoever has the key, and
// fills in what they left out.
func (s *Server) complete(ctx context.Context, key *auth.Key, p *publication) error {
	e := &p.event
	if err := s.checkData(e); err != nil {
		return err
	}
	if p.test {
		e.Extensions = marked(e.Extensions)
	}
	e.State = s.isState(e.Type)
	exists, err := s.keyring.MerchantExists(ctx, p.merchant)
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

// publishBatch answers each event of a batch for itself. The events of one log
// are appended together and in their order, those of several at the same time.
func (s *Server) publishBatch(w http.ResponseWriter, r *http.Request, key *caller, body []byte) error {
	room := min(batchMax, bytes.Count(body, []byte("specversion"))) // each has it once, about
	publications, errs := make([]publication, 0, room), make([]error, 0, room)
	doc, err := strictjson.ParseBatch(body, eventBounds, func(doc *strictjson.Document, err error) {
		var p publication
		if err == nil {
			p, err = readStructured(doc)
		}
		publications, errs = append(publications, p), append(errs, err)
	})
	if err != nil {
		return err
	}
	if doc.Kind != '[' {
		return problem("malformed-json", "Send an array of CloudEvents, or one CloudEvent as "+structuredForm+".")
	}
	if err := s.charge(w, r, key, s.cost(key, policy.Publishes, len(publications))); err != nil {
		return err
	}
	logs := make(map[string][]int)
	for i := range publications {
		if errs[i] != nil {
			continue
		}
		if errs[i] = s.admit(r.Context(), key.Key, &publications[i]); errs[i] == nil {
			log := publications[i].log()
			logs[log] = append(logs[log], i)
		}
	}

	receipts := make([]eventlog.Receipt, len(publications))
	var group errgroup.Group
	group.SetLimit(batchLogs)
	for log, members := range logs {
		group.Go(func() error {
			s.appendTo(r.Context(), log, members, publications, receipts)
			return nil
		})
	}
	_ = group.Wait() // failures are in the receipts

	answer := batchAnswer{Durability: s.log.Durability(), Results: make([]batchResult, len(publications))}
	for i := range publications {
		if errs[i] == nil {
			errs[i] = receipts[i].Err
		}
		answer.add(i, &publications[i], receipts[i], s.itemProblem(w, errs[i]))
	}
	if answer.Failed > 0 {
		return writeJSON(w, http.StatusMultiStatus, answer)
	}
	return writeJSON(w, http.StatusOK, answer)
}

// appendTo appends those members of a batch that belong to one log.
func (s *Server) appendTo(ctx context.Context, log string, members []int, publications []publication, receipts []eventlog.Receipt) {
	events := make([]eventlog.Event, len(members))
	for i, member := range members {
		events[i] = publications[member].event
	}
	got, err := s.log.Append(ctx, log, events)
	for i, member := range members {
		if err != nil {
			receipts[member].Err = err
		} else {
			receipts[member] = got[i]
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
		s.logger.Error("an event of a batch failed", "request_id", w.Header().Get("X-Request-Id"), "error", err)
		p = problem("internal-error", "Send the event again with the same id.")
	}
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	return p.with("request_id", w.Header().Get("X-Request-Id"))
}

func (a *batchAnswer) add(i int, p *publication, receipt eventlog.Receipt, refusal *Problem) {
	result := &a.Results[i]
	if refusal != nil {
		a.Failed++
		id, _ := refusal.Extra["request_id"].(string)
		result.Status, result.Problem = refusal.Status, refusal.document(id)
		return
	}
	result.accepted = &accepted{ID: p.event.ID, Position: receipt.ID, Merchant: p.merchant, Duplicate: receipt.Duplicate}
	if receipt.Duplicate {
		a.Duplicates++
		result.Status = http.StatusOK
	} else {
		a.Accepted++
		result.Status = http.StatusCreated
	}
}

// The forms in which events come (CloudEvents HTTP binding 1.0.2, section 3).
const (
	shortForm      = "application/json"
	structuredForm = "application/cloudevents+json"
	batchForm      = "application/cloudevents-batch+json"
)

// contentForm returns the form of a request's body.
func contentForm(h http.Header) (string, error) {
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return "", problem("unsupported-encoding", "Send the body uncompressed, without Content-Encoding.")
	}
	unsupported := problem("unsupported-media-type",
		"Send "+shortForm+", "+structuredForm+" or "+batchForm+", in UTF-8.")
	if len(h.Values("Content-Type")) != 1 {
		return "", unsupported
	}
	form, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return "", unsupported
	}
	switch form {
	case shortForm, structuredForm, batchForm:
		return form, nil
	}
	return "", unsupported
}

// isBinary reports whether the request is a CloudEvent in binary mode: one header
// of an attribute is enough, so that an event that lacks specversion is told so
// and its data is not mistaken for an event.
func isBinary(h http.Header) bool {
	for name := range h {
		if len(name) > 3 && strings.EqualFold(name[:3], "ce-") {
			return true
		}
	}
	return false
}

// readBody reads a body within its bounds of size and time.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	tooLarge := problem("payload-too-large", "Send at most 256 KiB. Store large things elsewhere, and publish where they are.")
	if r.ContentLength > bodyMax {
		w.Header().Set("Connection", "close")
		return nil, tooLarge
	}
	var body bytes.Buffer
	body.Grow(int(max(0, min(r.ContentLength, bodyAtOnce))) + bytes.MinRead)
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, bodyMax))
	var most *http.MaxBytesError
	switch {
	case errors.As(err, &most):
		_ = http.NewResponseController(w).SetReadDeadline(time.Now()) // nobody waits for the rest
		return nil, tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		return nil, problem("request-timeout", "Send the whole body within 10 seconds.")
	case err != nil:
		w.Header().Set("Connection", "close")
		return nil, problem("malformed-json", "The body ended early or its framing is invalid. Send it again.")
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // the body is here: see bound
	return body.Bytes(), nil
}

// writeJSON answers with a JSON document.
func writeJSON(w http.ResponseWriter, status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client left; there is nobody to tell
	return nil
}
