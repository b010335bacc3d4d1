package auth

import (
	"encoding/json"
	"testing"
	"time"
)

// Gateways of two versions read each other's tokens.
func TestTextOfClaims(t *testing.T) {
	tokens := Tokens{issuer: "pushserver", audience: "pushserver"}
	grant := &Grant{
		ID: "tok_1", Key: "key_1", Origin: shop, tag: "0123456789ab",
		Issued: time.Unix(1_800_000_000, 0), Expires: time.Unix(1_800_003_600, 0),
	}
	plain := `{"iss":"pushserver","sub":"key_1","aud":["pushserver"],"exp":1800003600,"iat":1800000000,"jti":"tok_1",`
	rest := `"origin":"` + shop + `","tag":"0123456789ab"}`
	if got, err := json.Marshal(tokens.claimsOf(grant)); err != nil || string(got) != plain+rest {
		t.Errorf("got  %s (%v)\nwant %s", got, err, plain+rest)
	}
	grant.Types, grant.Subjects, grant.Filter = []string{"payment.*"}, []string{"event/42/*"}, "data.n"
	want := plain + `"types":["payment.*"],"subjects":["event/42/*"],"filter":"data.n",` + rest
	if got, err := json.Marshal(tokens.claimsOf(grant)); err != nil || string(got) != want {
		t.Errorf("got  %s (%v)\nwant %s", got, err, want)
	}
}
