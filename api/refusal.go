package api

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/paylogic/pushserver/streams/sse"
)

// permanentRetry is when a page may retry although a retry cannot succeed.
const permanentRetry = time.Hour

// wantsStream reports whether a refusal must itself be a stream. EventSource shows a
// page neither the status nor the body of any other answer, and never retries. The
// query may be malformed.
func wantsStream(r *http.Request) bool {
	if r.URL.Path != "/v1/stream" && r.URL.Path != "/stream" || r.Method != http.MethodGet {
		return false
	}
	token := false
	for part := range strings.FieldsFuncSeq(r.URL.RawQuery, func(c rune) bool { return c == '&' || c == ';' }) {
		switch name, value, _ := strings.Cut(part, "="); {
		case name == "errors":
			return value == "stream"
		case name == "access_token" && isToken(value):
			token = true
		}
	}
	return token
}

// writeStreamProblem answers with a stream of one event, the problem.
func writeStreamProblem(w http.ResponseWriter, r *http.Request, requestID string, p *Problem) {
	retry, permanent := permanentRetry, true
	if p.Status == http.StatusTooManyRequests || p.Status >= 500 {
		permanent = false
		retry = 3*time.Second + rand.N(2*time.Second)
		if seconds, err := strconv.Atoi(p.Header.Get("Retry-After")); err == nil {
			retry = max(retry, time.Duration(seconds)*time.Second+rand.N(time.Second))
		}
	}
	doc := p.document(requestID)
	doc["permanent"], doc["retry_ms"] = permanent, retry.Milliseconds()
	var data bytes.Buffer
	encoder := json.NewEncoder(&data)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(doc); err != nil {
		panic("api: an extension of a problem is not JSON: " + err.Error())
	}
	event := sse.Event{Type: "stream.problem", Retry: retry, Data: bytes.TrimSpace(data.Bytes())}

	allowOrigin(w, r)
	streamHeader(w.Header(), eventStream)
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(event.Append(nil)) // an error means that the client left
}
