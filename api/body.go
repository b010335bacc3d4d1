package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paylogic/pushserver/internal/strictjson"
)

const (
	bodyMax     = 256 << 10
	bodyTimeout = 10 * time.Second

	// bodyAtOnce bounds the memory allocated before a body arrives.
	bodyAtOnce = 64 << 10

	// objectDepth is how many arrays and objects can be nested in a body.
	objectDepth = 64
)

// readObject reads a body that is one JSON object of one of the media types, with
// at most so many bytes.
func readObject(w http.ResponseWriter, r *http.Request, most int, types ...string) (*strictjson.Document, error) {
	if _, err := mediaType(r.Header, types...); err != nil {
		return nil, err
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	if len(body) > most {
		return nil, problem("payload-too-large", "Send at most "+strconv.Itoa(most>>10)+" KiB.")
	}
	doc, err := strictjson.Parse(body, strictjson.Bounds{Depth: objectDepth})
	if err == nil && doc.Kind != '{' {
		err = problem("malformed-json", "Send one JSON object.")
	}
	return doc, err
}

// mediaType returns which of the types the body has. It must be in UTF-8, and not
// compressed.
func mediaType(h http.Header, types ...string) (string, error) {
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return "", problem("unsupported-encoding", "Send the body uncompressed, without Content-Encoding.")
	}
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || len(h.Values("Content-Type")) != 1 || !slices.Contains(types, media) ||
		params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		names, last := strings.Join(types[:len(types)-1], ", "), types[len(types)-1]
		if names != "" {
			names += " or "
		}
		return "", problem("unsupported-media-type", "Send "+names+last+", in UTF-8.")
	}
	return media, nil
}

// readBody reads a body of at most bodyMax bytes, within bodyTimeout.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	tooLarge := problem("payload-too-large", "Send at most 256 KiB. Store large things elsewhere, and publish where they are.")
	if r.ContentLength > bodyMax {
		return nil, tooLarge
	}
	var body bytes.Buffer
	body.Grow(int(max(0, min(r.ContentLength, bodyAtOnce))) + bytes.MinRead)
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, bodyMax))
	var most *http.MaxBytesError
	switch {
	case errors.As(err, &most):
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

func writeJSON(w http.ResponseWriter, status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // an error means that the client left
	return nil
}
