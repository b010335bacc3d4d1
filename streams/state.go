package streams

// A State is what the state-like events of a log amount to at one moment: of
// each (type, subject) the newest.
type State struct {
	Head    ID      // the newest position at that moment
	Entries []Entry // oldest first
}

// maxState is how many entries a log's state has at most. The oldest go first.
const maxState = 100_000
