package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ControlLog is the name of the log that changes of keys are published to. No
// merchant can have it.
const ControlLog = "_control"

// CLI is who made a change that no key stands behind: somebody with access to
// the store itself.
const CLI = "cli"

// An Action is what was done to a key. It is the type of the event that tells.
type Action string

// What can be done to a key. Another version of this program may know more.
const (
	KeyCreated Action = "key.created"
	KeyEdited  Action = "key.edited"
	KeyRotated Action = "key.rotated"
	KeyRevoked Action = "key.revoked"
)

// A Change says what was done to a key, by whom and when: the notice by which
// gateways learn of it, and the entry of the audit. Its JSON is the data of an
// event on the [ControlLog]. It holds nothing that a key keeps secret.
//
// A change is published once the store has it, so that whoever reads the store
// after the notice sees it.
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

// NewChange returns the change that key is the result of, made now.
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

// ParseChange reads the JSON of a change. Members that it does not know are
// skipped, and so is nothing else: what names no key is an error. Whoever cannot
// read a notice must not trust what it has cached: see [Keyring.Reset].
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
