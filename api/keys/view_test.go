package keys

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/paylogic/pushserver/auth"
)

func TestTextOfAView(t *testing.T) {
	made := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	key := &auth.Key{
		ID: "key_1", Kind: auth.Live, Merchant: "acme", Name: "till", Scopes: []string{auth.Stream},
		Origins: []string{"https://shop.example"}, Created: made, Revision: 2,
	}
	plain := `{"id":"key_1","kind":"live","merchant":"acme","name":"till",`
	rest := `"scopes":["stream"],"origins":["https://shop.example"],"revision":2,"created_at":"2026-11-23T12:00:00Z"}`
	if got, err := json.Marshal(view(key)); err != nil || string(got) != plain+rest {
		t.Errorf("got  %s (%v)\nwant %s", got, err, plain+rest)
	}
	key.Types, key.Subjects, key.Filter = []string{"payment.*"}, []string{"event/42/*"}, "data.n"
	want := plain + `"types":["payment.*"],"subjects":["event/42/*"],"filter":"data.n",` + rest
	if got, err := json.Marshal(view(key)); err != nil || string(got) != want {
		t.Errorf("got  %s (%v)\nwant %s", got, err, want)
	}
}
