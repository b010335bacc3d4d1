package api

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams/eventlog"
)

// The clause of a key has one form wherever a client sees it: in its account and
// in stream.scope.
func TestTextOfAClause(t *testing.T) {
	r := newRig(t, eventlog.MemoryOptions{})
	admin := r.issue(t, auth.Key{Kind: auth.Adm})
	made := mustKey(t, r.do(t, "POST", "/v1/keys", admin, `{"kind":"live","merchant":"c"}`), 201)
	v := r.watch(t, made.Key, "")
	v.until(t, "stream.open")
	edits := []struct{ patch, scope, sees string }{
		{`{"types":["payment.*"],"subjects":["event/42/*"],"filter":"data.n == 1"}`,
			`{"types":["payment.*"],"subjects":["event/42/*"],"filter":"data.n == 1"}`,
			`"sees":{"types":["payment.*"],"subjects":["event/42/*"],"filter":"data.n == 1"}`},
		{`{"types":[],"subjects":null}`, `{"types":["*"],"filter":"data.n == 1"}`, `"sees":{"filter":"data.n == 1"}`},
		{`{"filter":null}`, `{"types":["*"]}`, `"sees":{}`},
	}
	for _, edit := range edits {
		mustKey(t, r.do(t, "PATCH", "/v1/keys/"+made.ID, admin, edit.patch, "Content-Type", mergePatch), 200)
		seen := v.until(t, "stream.scope")
		var scope json.RawMessage = seen[len(seen)-1].Data
		if got := string(scope); got != edit.scope {
			t.Errorf("%s: stream.scope has %s, want %s", edit.patch, got, edit.scope)
		}
		if got := r.do(t, "GET", "/v1/me", made.Key, ""); !strings.Contains(got.body, edit.sees) {
			t.Errorf("%s: GET /v1/me has %s, want %s", edit.patch, got.body, edit.sees)
		}
	}
}
