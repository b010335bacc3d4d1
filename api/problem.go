package api

import (
	"github.com/paylogic/pushserver/api/cloudevents"
	"github.com/paylogic/pushserver/internal/strictjson"
	"github.com/paylogic/pushserver/streams/eventlog"

	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/filter"
)

// A Problem is a refusal as the client sees it (RFC 9457), and an error.
//
// Clients may see all of it: it contains no internals of the program, and at most
// a short, escaped part of the input.
type Problem struct {
	Name   string         // the last part of its type: "malformed-query"
	Status int            // of the response
	Title  string         // the same for every problem of this name
	Detail string         // what to do
	Extra  map[string]any // extension members
	Header http.Header    // further headers of the response
}

// Error implements error.
func (p *Problem) Error() string { return p.Name + ": " + p.Detail }

// A kind is what all problems of one name share.
type kind struct {
	status int
	title  string
}

// kinds are the problems of this API by name. Clients branch on the names, so they
// never change.
var kinds = map[string]kind{
	"malformed-request":     {400, "The request cannot be read"},
	"malformed-json":        {400, "The body is not one JSON value"},
	"malformed-query":       {400, "The query cannot be read"},
	"unknown-parameter":     {400, "The query has an unknown parameter"},
	"cursor-malformed":      {400, "The cursor is malformed"},
	"ambiguous-cursor":      {400, "The request has more than one position"},
	"filter-invalid":        {400, "The filter cannot be used"},
	"ambiguous-credentials": {400, "The request has more than one credential"},
	"credential-in-url":     {400, "The URL contains a credential"},
	"unauthenticated":       {401, "A key is needed"},
	"invalid-token":         {401, "The key is not valid"},
	"key-revoked":           {401, "The key was revoked"},
	"key-expired":           {401, "The key has expired"},
	"secret-key-in-browser": {403, "A secret key was used in a browser"},
	"origin-not-allowed":    {403, "The origin is not allowed"},
	"scope-missing":         {403, "The key lacks a scope"},
	"wrong-role":            {403, "The key has another role"},
	"wrong-mode":            {403, "The key has another mode"},
	"not-found":             {404, "Not found"},
	"method-not-allowed":    {405, "The method is not allowed here"},
	"not-acceptable":        {406, "No acceptable format"},
	"request-timeout":       {408, "The request took too long"},
	"id-reused":             {409, "The id was used for another event"},
	"key-ended":             {409, "The key was revoked"},
	"rotation-overlap":      {409, "The secret before the last rotation still works"},
	"history-gone":          {410, "The history is incomplete"},
	"revision-conflict":     {412, "The key has changed in the meantime"},
	"payload-too-large":     {413, "The body is too large"},
	"unsupported-media-type": {415,
		"The content type is not supported"},
	"unsupported-encoding": {415, "The content encoding is not supported"},
	"duplicate-member":     {422, "An object has a duplicate member"},
	"invalid-utf8":         {422, "The text is not valid UTF-8"},
	"too-deep":             {422, "The JSON is nested too deeply"},
	"schema-violation":     {422, "The body violates its schema"},
	"reserved-type":        {422, "The type is reserved"},
	"unknown-type":         {422, "The event type is unknown"},
	"unknown-merchant":     {422, "The merchant is unknown"},
	"quota-exceeded":       {429, "A quota is exhausted"},
	"internal-error":       {500, "Something went wrong on our side"},
	"log-damaged":          {500, "The log cannot be read"},
	"not-replicated":       {503, "No replica confirmed the event"},
	"change-unconfirmed":   {503, "The change is not confirmed everywhere"},
	"store-unavailable":    {503, "The storage is not answering"},
	"draining":             {503, "This server is shutting down"},
}

// problem returns the problem with this name; detail says what to do. A problem
// with status 503 asks the client to retry after a second.
//
// It panics if the name is unknown.
func problem(name, detail string) *Problem {
	k, ok := kinds[name]
	if !ok {
		panic("api: no problem has the name " + name)
	}
	p := &Problem{Name: name, Status: k.status, Title: k.title, Detail: detail}
	if k.status == http.StatusServiceUnavailable {
		p.header("Retry-After", "1")
	}
	return p
}

// with sets an extension member and returns the problem.
func (p *Problem) with(key string, value any) *Problem {
	if p.Extra == nil {
		p.Extra = make(map[string]any)
	}
	p.Extra[key] = value
	return p
}

// header sets a header of the response and returns the problem.
func (p *Problem) header(key, value string) *Problem {
	if p.Header == nil {
		p.Header = make(http.Header)
	}
	p.Header.Set(key, value)
	return p
}

// document returns the members of the problem document.
func (p *Problem) document(requestID string) map[string]any {
	doc := make(map[string]any, len(p.Extra)+5)
	maps.Copy(doc, p.Extra)
	doc["type"] = "/problems/" + p.Name
	doc["title"] = p.Title
	doc["status"] = p.Status
	doc["detail"] = p.Detail
	doc["request_id"] = requestID
	return doc
}

// knownErrors maps errors of other packages to problems. The first match counts.
var knownErrors = []struct {
	cause        error
	name, detail string
}{
	{eventlog.ErrNotReplicated, "not-replicated", "The event may or may not be delivered. Send it again with the same id."},
	{eventlog.ErrReused, "id-reused", "An event with this source and id was accepted with different content. Choose a new id for a new event."},
	{eventlog.ErrDamaged, "log-damaged", "The stored events of this merchant cannot be read. Tell us the request_id."},
	{streams.ErrDraining, "draining", "Reconnect; you will reach another server."},
	{eventlog.ErrUnavailable, "store-unavailable", "Try again after Retry-After. Send an event again with the same id."},
	{ratelimit.ErrUnavailable, "store-unavailable", "The open streams could not be looked up. Try again after Retry-After."},
	{auth.ErrUnavailable, "store-unavailable", "The key could not be checked. Try again after Retry-After."},
	{context.DeadlineExceeded, "store-unavailable", "Try again after Retry-After. Send an event again with the same id."},
	{auth.ErrTokenExpired, "invalid-token", "The token has expired: mint another."},
	{auth.ErrToken, "invalid-token", "Mint a token with POST /v1/tokens, and send it whole."},
	{auth.ErrMalformed, "invalid-token", "Check that the key was copied whole."},
	{auth.ErrUnknown, "invalid-token", "This key does not exist. Use a key that was issued for this server."},
	{auth.ErrRevoked, "key-revoked", "Use another key. This one was revoked."},
	{auth.ErrExpired, "key-expired", "Use another key. This one has expired."},
}

// problemOf returns the problem for err, or nil if the client must learn no more
// than that something went wrong.
func problemOf(err error) *Problem {
	var own *Problem
	if errors.As(err, &own) {
		return own
	}
	var clause *filter.Error
	if errors.As(err, &clause) {
		return filterProblem(clause)
	}
	var broken *strictjson.Error
	if errors.As(err, &broken) {
		if broken.Code == strictjson.TooMany {
			return problem("payload-too-large", "Send at most 1,000 events in a batch.")
		}
		return problem(string(broken.Code), broken.Detail)
	}
	var invalid *cloudevents.Invalid
	if errors.As(err, &invalid) {
		return eventProblem(invalid)
	}
	for _, known := range knownErrors {
		if errors.Is(err, known.cause) {
			return problem(known.name, known.detail)
		}
	}
	return nil
}

func eventProblem(invalid *cloudevents.Invalid) *Problem {
	p := problem(invalid.Code, invalid.Detail)
	if len(invalid.Places) == 0 {
		return p
	}
	places := make([]map[string]any, len(invalid.Places))
	for i, place := range invalid.Places {
		places[i] = map[string]any{place.Kind: place.At, "detail": place.Detail}
	}
	return p.with("errors", places)
}

func filterProblem(clause *filter.Error) *Problem {
	place := map[string]any{"parameter": clause.Part, "detail": clause.Reason}
	if clause.Line > 0 {
		place["line"], place["column"] = clause.Line, clause.Column
	}
	return problem("filter-invalid", "Fix the parameters listed in errors.").
		with("errors", []map[string]any{place})
}

// writeProblem answers a request with a problem document, and HEAD with its header
// only. A 401 always says how to authenticate (RFC 6750, 3).
func writeProblem(w http.ResponseWriter, r *http.Request, requestID string, p *Problem) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // people read it, and it is no HTML
	if err := encoder.Encode(p.document(requestID)); err != nil {
		panic("api: an extension of a problem is not JSON: " + err.Error())
	}
	body := text.Bytes()

	h := w.Header()
	maps.Copy(h, p.Header)
	if p.Status == http.StatusUnauthorized && h.Get("WWW-Authenticate") == "" {
		h.Set("WWW-Authenticate", p.challenge())
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // an error means that the client left
	}
}

// challenge returns the value of WWW-Authenticate. It names an error only if the
// client sent a credential.
func (p *Problem) challenge() string {
	const realm = `Bearer realm="pushserver"`
	switch p.Name {
	case "invalid-token", "key-revoked", "key-expired":
		return realm + `, error="invalid_token"`
	}
	return realm
}
