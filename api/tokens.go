package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/paylogic/pushserver/api/cloudevents"
	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/internal/strictjson"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams/filter"
)

// tokenMax bounds the body of a request for a token.
const tokenMax = 16 << 10

// mintedToken is the answer to POST /v1/tokens.
type mintedToken struct {
	Token   string    `json:"token"`
	ID      string    `json:"id"`
	Origin  string    `json:"origin"`
	Expires time.Time `json:"expires_at"`
}

// mint answers POST /v1/tokens.
func (s *Server) mint(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.query(r); err != nil {
		return err
	}
	c, err := s.authorize(w, r, auth.Stream)
	switch {
	case err != nil:
		return err
	case c.grant != nil:
		return problem("wrong-role", "Use a merchant's key: a token cannot mint another token.").with("role", "browser")
	case s.Tokens == nil:
		return problem("not-found", "This server mints no tokens. Its operator must start it with --secret-file.")
	}
	doc, err := readObject(w, r, tokenMax, cloudevents.ShortType)
	if err != nil {
		return err
	}
	asked, err := readTokenRequest(doc)
	if err != nil {
		return err
	}
	if _, err := filter.Compile(asked.Clause); err != nil {
		return err
	}
	if err := s.charge(w, r, c, s.cost(c, policy.Tokens, 1)); err != nil {
		return err
	}
	token, grant, err := s.Tokens.Mint(c.Key, asked)
	var field *auth.FieldError
	switch {
	case errors.As(err, &field):
		return fieldProblem(field)
	case err != nil:
		return err
	}
	return writeJSON(w, http.StatusCreated, mintedToken{token.Reveal(), grant.ID, grant.Origin, grant.Expires})
}

// readTokenRequest reads the request for a token. Its errors are problems.
func readTokenRequest(doc *strictjson.Document) (asked auth.TokenRequest, err error) {
	var wrong []map[string]any
	refuse := func(name, detail string) {
		wrong = append(wrong, map[string]any{"pointer": "/" + name, "detail": detail})
	}
	for _, m := range doc.Members {
		switch m.Name {
		case "types":
			if json.Unmarshal(m.Value, &asked.Types) != nil {
				refuse(m.Name, "must be an array of strings")
			}
		case "subject":
			if subject, ok := strictjson.Text(m.Value); ok && subject != "" {
				asked.Subjects = []string{subject}
			} else {
				refuse(m.Name, "must be a string, and not empty")
			}
		case "subjects":
			if json.Unmarshal(m.Value, &asked.Subjects) != nil {
				refuse(m.Name, "must be an array of strings")
			}
		case "filter":
			var ok bool
			if asked.Filter, ok = strictjson.Text(m.Value); !ok {
				refuse(m.Name, "must be a string")
			}
		case "origin":
			var ok bool
			if asked.Origin, ok = strictjson.Text(m.Value); !ok {
				refuse(m.Name, "must be a string")
			}
		case "ttl":
			if asked.Life, err = lifeOf(m.Value); err != nil {
				refuse(m.Name, "must be seconds, or a text like 15m")
			}
		default:
			refuse(shown(m.Name), "is unknown")
		}
	}
	if len(wrong) > 0 {
		return asked, problem("schema-violation", "Fix the problems listed in errors, then send the request again.").with("errors", wrong)
	}
	return asked, nil
}

// lifeOf reads a number of seconds or a duration.
func lifeOf(value []byte) (time.Duration, error) {
	if s, ok := strictjson.Text(value); ok {
		d, err := time.ParseDuration(s)
		if err == nil && d < time.Second {
			err = errors.New("too short")
		}
		return d, err
	}
	var seconds int64
	if err := json.Unmarshal(value, &seconds); err != nil {
		return 0, err
	}
	if seconds < 1 || seconds > int64(10*365*24*time.Hour/time.Second) {
		return 0, errors.New("out of bounds")
	}
	return time.Duration(seconds) * time.Second, nil
}

// shown returns a member's name as it may be repeated.
func shown(name string) string {
	if len(name) > 40 || !filter.Printable(name) {
		return ""
	}
	return name
}
