package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ControlLog is the name of the log that changes of keys are published to. It is not a
// valid merchant name.
const ControlLog = "_control"

// CLI is the author of a change made with direct access to the store, without a key.
const CLI = "cli"

// An Action is what was done to a key. It is the type of the event that announces it.
type Action string

// The actions on a key. Other versions of this program may have more.
const (
	KeyCreated Action = "key.created"
	KeyEdited  Action = "key.edited"
	KeyRotated Action = "key.rotated"
	KeyRevoked Action = "key.revoked"
)

// A Change says what was done to a key, by whom and when. Gateways learn of changes
// from it, and it is the entry of the audit. Its JSON is the data of an event on the
// [ControlLog]. It contains no secret.
//
// A change is published after the store has it, so a reader of the store sees the
// change once it has the notice.
type Change struct {
	Action   Action `json:"action"`
	Key      string `json:"key"` // its id
	Kind     Kind   `json:"kind"`
	Merchant string `json:"merchant,omitempty"`
	Revision int64  `json:"revision"` // of the key, once changed

	Fields      []string  `json:"fields,omitempty"`      // that an edit changed
	FormerUntil time.Time `json:"former_until,omitzero"` // when the secret before a rotation ends

	By   string    `json:"by"` // the id of the key that asked for it, or [CLI]
	Time time.Time `json:"time"`
}

// NewChange returns a change, made now, whose result is key.
func NewChange(action Action, key *Key, by string) Change {
	c := Change{
		Action: action, Key: key.ID, Kind: key.Kind, Merchant: key.Merchant, Revision: key.Revision,
		By: by, Time: timestamp(),
	}
	if action == KeyRotated {
		c.FormerUntil = key.FormerUntil
	}
	return c
}

// ParseChange reads the JSON of a change. Unknown members are ignored; anything else
// is an error. After an error the caller must not trust its cache: see [Keyring.Reset].
func ParseChange(data []byte) (Change, error) {
	var c Change
	if err := json.Unmarshal(data, &c); err != nil {
		return Change{}, fmt.Errorf("auth: decode a change: %w", err)
	}
	if c.Action == "" || c.Key == "" {
		return Change{}, errors.New("auth: a change without an action or a key")
	}
	return c, nil
}
