package auth

// A Kind is the role of a key. It is part of the key's text, so that a person or a
// scanner can tell a publisher's key from a merchant's.
type Kind string

// The kinds of key.
const (
	Live Kind = "live" // a merchant's backend, reading its log
	Test Kind = "test" // the same, reading the merchant's test log
	Pub  Kind = "pub"  // an internal service that publishes
	Adm  Kind = "adm"  // an operator
)

// The scopes of keys.
const (
	Stream  = "stream"  // receive events as they happen
	History = "history" // read what is retained
	Me      = "me"      // ask about itself
	Publish = "publish" // append events
	Admin   = "admin"   // make, list and revoke keys
)

// Scopes returns every scope that a key of this kind can have. A key has them all
// unless its record lists fewer. It returns nil for an unknown kind.
//
// Kinds never cross: no record can let a live key publish.
func (k Kind) Scopes() []string {
	switch k {
	case Live, Test:
		return []string{Stream, History, Me}
	case Pub:
		return []string{Publish, Me}
	case Adm:
		return []string{Admin, Me}
	}
	return nil
}

// Reads reports whether keys of this kind belong to a merchant and read its log.
func (k Kind) Reads() bool { return k == Live || k == Test }

func (k Kind) valid() bool {
	return k == Live || k == Test || k == Pub || k == Adm
}
