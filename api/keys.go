package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/paylogic/pushserver/api/cloudevents"
	"github.com/paylogic/pushserver/api/keys"
	"github.com/paylogic/pushserver/auth"
)

const (
	keyMax   = 16 << 10 // bytes of a request about a key
	keysPage = 100      // keys or changes in an answer, unless more are asked for

	mergePatch = "application/merge-patch+json" // RFC 7396
)

// administer returns the registry and the query for an admin's request.
func (s *Server) administer(w http.ResponseWriter, r *http.Request) (keys.Registry, query, error) {
	q, err := s.query(r)
	if err != nil {
		return keys.Registry{}, nil, err
	}
	c, err := s.authenticate(w, r, auth.Admin)
	if err != nil {
		return keys.Registry{}, nil, err
	}
	return keys.Registry{Store: s.Store, Log: s.Log, By: c.ID}, q, nil
}

// createKey answers POST /v1/keys.
func (s *Server) createKey(w http.ResponseWriter, r *http.Request) error {
	registry, _, err := s.administer(w, r)
	if err != nil {
		return err
	}
	description, err := readPatch(w, r, cloudevents.ShortType)
	if err != nil {
		return err
	}
	made, err := registry.Create(r.Context(), description)
	if err != nil {
		return keyProblem(err)
	}
	w.Header().Set("Location", "/v1/keys/"+made.ID)
	return writeKey(w, http.StatusCreated, made)
}

// listKeys answers GET /v1/keys.
func (s *Server) listKeys(w http.ResponseWriter, r *http.Request) error {
	registry, q, err := s.administer(w, r)
	if err != nil {
		return err
	}
	limit, err := number(q, "limit", 1, auth.MaxPage, keysPage)
	if err != nil {
		return err
	}
	found, err := registry.List(r.Context(), q["after"], limit)
	if errors.Is(err, auth.ErrUnknown) {
		return parameterProblem("after", "must be the id of a key, as next gave it")
	}
	if err != nil {
		return err
	}
	answer := struct {
		Keys []keys.View `json:"keys"`
		Next string      `json:"next,omitempty"`
	}{Keys: found}
	if len(found) == limit {
		answer.Next = found[limit-1].ID
	}
	return writeJSON(w, http.StatusOK, answer)
}

// showKey answers GET /v1/keys/{id}.
func (s *Server) showKey(w http.ResponseWriter, r *http.Request) error {
	registry, _, err := s.administer(w, r)
	if err != nil {
		return err
	}
	found, err := registry.Find(r.Context(), r.PathValue("id"))
	if err != nil {
		return keyProblem(err)
	}
	return writeKey(w, http.StatusOK, found)
}

// editKey answers PATCH /v1/keys/{id}.
func (s *Server) editKey(w http.ResponseWriter, r *http.Request) error {
	registry, _, err := s.administer(w, r)
	if err != nil {
		return err
	}
	revision, err := expectedRevision(r)
	if err != nil {
		return err
	}
	patch, err := readPatch(w, r, mergePatch, cloudevents.ShortType)
	if err != nil {
		return err
	}
	edited, err := registry.Edit(r.Context(), r.PathValue("id"), revision, patch)
	if err != nil {
		return keyProblem(err)
	}
	return writeKey(w, http.StatusOK, edited)
}

// revokeKey answers DELETE /v1/keys/{id}.
func (s *Server) revokeKey(w http.ResponseWriter, r *http.Request) error {
	registry, _, err := s.administer(w, r)
	if err != nil {
		return err
	}
	revoked, err := registry.Revoke(r.Context(), r.PathValue("id"))
	if err != nil {
		return keyProblem(err)
	}
	return writeKey(w, http.StatusOK, revoked)
}

// rotateKey answers POST /v1/keys/{id}/rotate.
func (s *Server) rotateKey(w http.ResponseWriter, r *http.Request) error {
	registry, _, err := s.administer(w, r)
	if err != nil {
		return err
	}
	asked, err := readPatch(w, r, cloudevents.ShortType)
	if err != nil {
		return err
	}
	var overlap time.Duration
	for name, value := range asked {
		switch {
		case name != "overlap":
			return fieldProblem(&auth.FieldError{Field: name, Reason: "is unknown"})
		case string(value) == "0":
		default:
			if overlap, err = lifeOf(value); err != nil {
				return fieldProblem(&auth.FieldError{Field: name, Reason: "must be seconds, or a text like 24h"})
			}
		}
	}
	if asked["overlap"] == nil {
		return fieldProblem(&auth.FieldError{Field: "overlap", Reason: `must say how long the secret of now goes on working: seconds, or a text like 24h; 0 ends it at once`})
	}
	rotated, err := registry.Rotate(r.Context(), r.PathValue("id"), overlap)
	if err != nil {
		return keyProblem(err)
	}
	return writeKey(w, http.StatusOK, rotated)
}

// audit answers GET /v1/audit.
func (s *Server) audit(w http.ResponseWriter, r *http.Request) error {
	registry, q, err := s.administer(w, r)
	if err != nil {
		return err
	}
	limit, err := number(q, "limit", 1, pageMax, keysPage)
	if err != nil {
		return err
	}
	var after eventlog.ID
	if q["after"] != "" {
		if after, err = eventlog.ParseID(q["after"]); err != nil {
			return malformedPosition()
		}
	}
	page, err := registry.Audit(r.Context(), after, limit)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, page)
}

// writeKey answers with a key, and with its revision as the entity tag.
func writeKey(w http.ResponseWriter, status int, v keys.View) error {
	w.Header().Set("ETag", strconv.Quote(strconv.FormatInt(v.Revision, 10)))
	return writeJSON(w, status, v)
}

// expectedRevision returns the revision that a key must have for the request to
// hold (If-Match, RFC 9110, 13.1.1), or 0 for any.
func expectedRevision(r *http.Request) (int64, error) {
	fields := r.Header["If-Match"]
	if len(fields) == 0 || len(fields) == 1 && strings.TrimSpace(fields[0]) == "*" {
		return 0, nil
	}
	tag, quoted := strings.CutPrefix(strings.TrimSpace(fields[0]), `"`)
	tag, ended := strings.CutSuffix(tag, `"`)
	revision, err := strconv.ParseInt(tag, 10, 64)
	if len(fields) > 1 || !quoted || !ended || err != nil || revision < 1 {
		return 0, problem("malformed-request", "Send one entity tag in If-Match, exactly as the ETag header gave it.")
	}
	return revision, nil
}

// readPatch returns the members of the object that a request has, in one of
// these forms.
func readPatch(w http.ResponseWriter, r *http.Request, forms ...string) (keys.Patch, error) {
	doc, err := readObject(w, r, keyMax, forms...)
	if err != nil {
		return nil, err
	}
	patch := make(keys.Patch, len(doc.Members))
	for _, m := range doc.Members {
		patch[m.Name] = json.RawMessage(m.Value)
	}
	return patch, nil
}

// keyProblem says what a request about a key has met. A key that is not there is
// not the one that was shown.
func keyProblem(err error) error {
	var field *auth.FieldError
	switch {
	case errors.As(err, &field):
		return fieldProblem(field)
	case errors.Is(err, auth.ErrUnknown):
		return problem("not-found", "No key has this id. GET /v1/keys lists the keys.")
	case errors.Is(err, auth.ErrRevoked), errors.Is(err, auth.ErrExpired):
		return problem("key-ended", "Create another key. This one was revoked, and a revoked key cannot be changed.")
	case errors.Is(err, auth.ErrOverlap):
		return problem("rotation-overlap", "Wait until former_until, or rotate with an overlap of 0. A key has at most two secrets.")
	case errors.Is(err, auth.ErrConflict):
		return problem("revision-conflict", "Read the key again, and send your change with the new ETag.")
	case errors.Is(err, auth.ErrNotReplicated), errors.Is(err, keys.ErrNotTold):
		return problem("change-unconfirmed", "The change is in effect, but not confirmed everywhere yet. Send it again.")
	}
	return err
}

// fieldProblem names the member that cannot stand.
func fieldProblem(field *auth.FieldError) *Problem {
	pointer := "/" + strings.ReplaceAll(shown(field.Field), ".", "/")
	return problem("schema-violation", "Fix the problems listed in errors, then send the request again.").
		with("errors", []map[string]any{{"pointer": pointer, "detail": field.Reason}})
}
